"""What can go wrong with AWS, as sentences a person can act on; botocore's own messages never leave this module."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from estimators.provenance import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator


class AwsError(Refusal):
    """AWS did not answer, or not with something a price can be read from."""

    def __init__(self, message: str, *, remedy: str = "", field: str = "region") -> None:
        super().__init__(message, field=field, remedy=remedy)


class NoCredentials(AwsError):
    """No usable access key, profile or role."""


class ExpiredCredentials(AwsError):
    """The keys are known to AWS but no longer valid, or not known at all."""


class AccessDenied(AwsError):
    """The keys are valid and may not make this call."""


class Throttled(AwsError):
    """AWS asked to slow down, more often than the client is willing to wait."""


class RegionNotEnabled(AwsError):
    """An opt-in region the account has not enabled."""


class Unreachable(AwsError):
    """No connection, or none that lasted."""


class ServiceFault(AwsError):
    """AWS answered with an error of its own."""


class UnexpectedReply(AwsError):
    """An answer that is not in the documented form, or that no price may be read from."""


_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN_KEYS = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
}
_NOT_ENABLED = {"AuthFailure", "OptInRequired"}
_TOKEN = {"InvalidNextTokenException", "ExpiredNextTokenException"}


def _from_code(code: str, status: int, call: str, action: str) -> AwsError:
    if code in _EXPIRED:
        return ExpiredCredentials(f"AWS says the credentials have expired ({call}).", remedy="Sign in again.")
    if code in _UNKNOWN_KEYS:
        return ExpiredCredentials(f"AWS does not accept the credentials ({call}).", remedy="Check key, secret, token.")
    if code in _DENIED:
        return AccessDenied(f"The credentials may not call {call}.", remedy=f"Allow {action} in the IAM policy.")
    if code in _THROTTLED:
        return Throttled(f"AWS is throttling {call}.", remedy="It is tried again later.")
    if code in _NOT_ENABLED:
        return RegionNotEnabled(
            f"AWS does not let these credentials into this region ({call}).",
            remedy="Enable the region for the account, or check the keys.",
        )
    if code in _TOKEN:
        return UnexpectedReply(f"AWS no longer accepts its own page token ({call}).", remedy="It is read again later.")
    if status >= 500:
        return ServiceFault(f"AWS answered {call} with a fault of its own (HTTP {status}).", remedy="Try again later.")
    return UnexpectedReply(f"AWS refused {call} as {code[:64]!r}.")


def translated(error: Exception, call: str, action: str) -> AwsError:
    """The sentence for a botocore error; `call` names the operation, `action` the IAM action it needs."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        detail = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _from_code(str(detail.get("Code", "")), int(status), call, action)
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError, boto.ProfileNotFound)):
        return NoCredentials(f"No AWS credentials were found ({call}).", remedy="Set AWS_PROFILE, keys or a role.")
    if isinstance(error, (boto.TokenRetrievalError, boto.SSOError, boto.CredentialRetrievalError)):
        return ExpiredCredentials(f"AWS credentials could not be renewed ({call}).", remedy="Sign in again.")
    if isinstance(
        error, (boto.ConnectionError, boto.HTTPClientError, boto.ResponseStreamingError, boto.IncompleteReadError)
    ):
        return Unreachable(f"The connection to AWS failed ({call}, {type(error).__name__}).", remedy="Try again later.")
    return UnexpectedReply(f"AWS's answer to {call} could not be read ({type(error).__name__}).")


@contextmanager
def aws_call(call: str, action: str) -> Iterator[None]:
    """Turns any botocore error inside into an `AwsError`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        # `from None`: botocore's messages quote account numbers and role names, and a traceback would print them.
        raise translated(error, call, action) from None


@contextmanager
def documented_form(call: str) -> Iterator[None]:
    """Turns what a reply of another shape does to code that reads it into an `UnexpectedReply`."""
    try:
        yield
    except Refusal:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UnexpectedReply(
            f"AWS's answer to {call} is not in the documented form ({type(error).__name__})."
        ) from None
