"""What can go wrong between an id and its config, each as a sentence with its way out. The field is `model`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from estimators.architecture.hub.bounds import HUB_HOSTS
from estimators.provenance import Refusal

INSTEAD = "Try again later, choose a model of the embedded catalogue, or give a parameter count."


class HubRefusal(Refusal):
    """The Hub gave no usable config."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, field="model", remedy=remedy)


class BadModelId(HubRefusal):
    """What was typed cannot be an id of the Hub."""


class ModelNotFound(HubRefusal):
    """No such model, as far as this reader is allowed to see."""


class RevisionNotFound(ModelNotFound):
    """The model is there, this revision of it is not."""


class GatedModel(HubRefusal):
    """The model's files open only to those who accepted its licence."""


class ModelForbidden(HubRefusal):
    """The Hub knows who asks, or that nobody signed in, and says no."""


class HubOffline(HubRefusal):
    """The network is switched off on purpose."""


class HubUnavailable(HubRefusal):
    """The Hub did not answer, or not as a Hub does."""


class HubUnreachable(HubUnavailable):
    """No connection to the Hub."""


class HubPending(HubUnavailable):
    """The Hub is being asked; its answer comes later."""


class RateLimited(HubUnavailable):
    """The Hub asks to slow down."""


class RepositoryTooLarge(HubRefusal):
    """The repository says more of itself than any model needs to: its own fault, not the Hub's."""


class ConfigMissing(HubRefusal):
    """The repository has no config.json."""


class ConfigUnreadable(HubRefusal):
    """There is a config.json, but it is too large, too deep or not JSON."""


class WeightsUnreadable(HubRefusal):
    """The headers of the weight files cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubQuestion:
    """One question to one Hub, and the sentences for its failures. None of them quotes the server or the token."""

    model_id: str
    revision: str | None
    endpoint: str
    signed_in: bool
    timeout_s: float

    @property
    def name(self) -> str:
        return self.model_id if self.revision is None else f"{self.model_id}@{self.revision}"

    @property
    def host(self) -> str:
        """Host and port of the endpoint; a user name or password written into it stays out."""
        try:
            parts = urlsplit(self.endpoint)
            return (parts.hostname or "the Hub") + (f":{parts.port}" if parts.port else "")
        except ValueError:
            return "the Hub"

    def not_found(self, status: int | None) -> ModelNotFound:
        if status == 401 and not self.signed_in:
            return ModelNotFound(
                f"{self.host} shows no model {self.model_id} to a reader who is not signed in: "
                "it does not exist, or it is private.",
                "Check the spelling, or set HF_TOKEN.",
            )
        hint = "private to others" if self.signed_in else "private"
        return ModelNotFound(
            f"There is no model {self.model_id} on {self.host}, or it is {hint}.",
            "Check the spelling; ids are case-sensitive.",
        )

    def no_revision(self) -> RevisionNotFound:
        return RevisionNotFound(
            f"{self.model_id} has no revision {self.revision!r}.",
            "Give one of its branches, tags or commits, or leave it out for the newest.",
        )

    def gated(self) -> GatedModel:
        step = "with the account of HF_TOKEN" if self.signed_in else "and set HF_TOKEN to a token of that account"
        return GatedModel(
            f"{self.model_id} is gated: its config opens only to those who accepted its licence.",
            f"Accept it on the model's page at {self.host} {step}, "
            "or use the copy in the embedded catalogue where there is one.",
        )

    def forbidden(self) -> ModelForbidden:
        if self.signed_in:
            return ModelForbidden(
                f"{self.host} refused the token in HF_TOKEN for {self.model_id}.",
                "Use a valid token that may read this model, or unset HF_TOKEN for a public one.",
            )
        return ModelForbidden(f"{self.host} asks to sign in before it shows {self.model_id}.", "Set HF_TOKEN.")

    def not_a_token(self) -> ModelForbidden:
        return ModelForbidden("What HF_TOKEN holds cannot be a token.", "Set it anew, without spaces or line breaks.")

    def disabled(self) -> ModelForbidden:
        return ModelForbidden(f"{self.host} has disabled access to {self.model_id}.", "Choose another model.")

    def no_config(self, files: Iterable[str] = ()) -> ConfigMissing:
        names = set(files)
        remedy = "Use the model it was made from, or give a parameter count."
        if "adapter_config.json" in names:
            return ConfigMissing(f"{self.model_id} is an adapter and has no config.json of its own.", remedy)
        if any(name.endswith(".gguf") for name in names):
            return ConfigMissing(f"{self.model_id} holds GGUF files and has no config.json.", remedy)
        return ConfigMissing(f"{self.model_id} has no config.json.", remedy)

    def offline(self) -> HubOffline:
        return HubOffline(
            f"HF_HUB_OFFLINE is set and the config of {self.name} is not in the local cache.",
            "Choose a model of the embedded catalogue, give a parameter count, or unset HF_HUB_OFFLINE.",
        )

    def too_slow(self) -> HubUnavailable:
        return HubUnavailable(f"{self.host} did not answer within {self.timeout_s:g} s.", INSTEAD)

    def unreachable(self) -> HubUnavailable:
        return HubUnreachable(f"{self.host} cannot be reached from here.", INSTEAD)

    def failing(self, status: int | None) -> HubUnavailable:
        if status == 429:
            return RateLimited(
                f"{self.host} has had too many requests from here (429).",
                "Wait some minutes, or set HF_TOKEN, which has a higher limit.",
            )
        said = f" ({status})" if status else ""
        return HubUnavailable(f"{self.host} answered with an error{said}.", INSTEAD)

    def pending(self) -> HubPending:
        return HubPending(
            f"{self.model_id} is being read from {self.host}.",
            "Ask again in a moment, choose a model of the embedded catalogue, or give a parameter count.",
        )

    def over_limits(self) -> RepositoryTooLarge:
        return RepositoryTooLarge(
            f"What {self.host} says of {self.model_id} is longer than of any model.",
            "Choose another model, or give a parameter count.",
        )

    def not_a_hub(self) -> HubUnavailable:
        return HubUnavailable(
            f"{self.host} answered, but not as a Hugging Face Hub does.", f"Check HF_ENDPOINT. {INSTEAD}"
        )

    def leads_astray(self, host: str) -> HubUnavailable:
        return HubUnavailable(
            f"{self.host} sends on to {host[:100]!r} for {self.model_id}, which is no host of the Hub's: "
            "nothing was asked there.",
            f"The operator can name it in {HUB_HOSTS}. {INSTEAD}",
        )

    def bad_weights(self, problem: str) -> WeightsUnreadable:
        return WeightsUnreadable(f"The weight files of {self.model_id} cannot be read: {problem}.", INSTEAD)
