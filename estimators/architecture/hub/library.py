"""`huggingface_hub` and `transformers`, loaded late, kept within limits, their errors turned into our sentences."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from estimators.architecture.hub.bounds import (
    Astray,
    Limits,
    OutOfTime,
    OverLimit,
    Refused,
    Undecodable,
    limited,
    make_client,
    within,
)
from estimators.architecture.hub.config import ConfigObject
from estimators.architecture.hub.errors import HubQuestion, HubRefusal

T = TypeVar("T")

_LOADING = threading.Lock()
_loaded = threading.Event()


def preload() -> None:
    """Import both libraries now (about two seconds), so that the first model asked for does not wait for them."""
    load_library()
    _load_transformers()


def signed_in_by_login() -> bool:
    """Whether `hf auth login` left a token, which the library then sends of itself."""
    from huggingface_hub import get_token

    return get_token() is not None


def load_library() -> None:
    """Import `huggingface_hub` once, quiet and within limits: no telemetry, no progress bar, no other downloader."""
    with _LOADING:
        from huggingface_hub import constants, is_offline_mode, set_client_factory
        from huggingface_hub.errors import OfflineModeIsEnabled
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

        if _loaded.is_set():
            return

        def unlimited() -> None:
            if is_offline_mode():
                raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")

        constants.HF_HUB_DISABLE_TELEMETRY = True
        constants.HF_HUB_DISABLE_XET = True  # would fetch past the limits of our client
        disable_progress_bars()
        set_client_factory(lambda: make_client(unlimited))
        _loaded.set()


def config_object(model_type: str, config: dict[str, object]) -> ConfigObject:
    """The config class of transformers for this type, filled from a dict. No code or file of a repository is read."""
    _load_transformers()
    from transformers import CONFIG_MAPPING

    made: ConfigObject = CONFIG_MAPPING[model_type].from_dict(config)
    return made


@cache
def _load_transformers() -> None:
    """Import `transformers` once, without its comments on missing PyTorch and on fields of other people's configs."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # read when it is imported
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")


def in_time(asked: HubQuestion, deadline: float, call: Callable[[], T]) -> T:
    try:
        return within(deadline, call)
    except OutOfTime:
        raise asked.too_slow() from None


@contextmanager
def library_calls(asked: HubQuestion, deadline: float, max_bytes: int, front_only: bool = False) -> Iterator[None]:
    """Limits for the calls in the block, and our sentence in place of whatever they raise.

    The cause is cut off: messages of the HTTP client may quote a header, and with it the token.
    """
    try:
        with limited(Limits(deadline=deadline, max_bytes=max_bytes, home=asked.endpoint, front_only=front_only)):
            yield
    except HubRefusal:
        raise
    except Exception as error:
        raise _refusal(asked, error) from None


def _refusal(asked: HubQuestion, error: Exception) -> HubRefusal:
    """What an error of the library, of its HTTP client or of our limits means for the person who asked."""
    import httpx2
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return _refusal(asked, error.__cause__)  # "not in the cache either": the reason lies beneath
    status = getattr(getattr(error, "response", None), "status_code", None)
    table: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[], HubRefusal]], ...] = (
        (Refused, lambda: asked.failing(error.status if isinstance(error, Refused) else None)),
        ((httpx2.ConnectError, httpx2.ConnectTimeout), asked.unreachable),
        ((OutOfTime, httpx2.TimeoutException), asked.too_slow),
        (OverLimit, asked.over_limits),
        (Astray, lambda: asked.leads_astray(error.host if isinstance(error, Astray) else "")),
        (Undecodable, asked.not_a_hub),
        (errors.GatedRepoError, asked.gated),  # a kind of RepositoryNotFoundError, so before it
        (errors.RevisionNotFoundError, asked.no_revision),
        (errors.DisabledRepoError, asked.disabled),
        (errors.RepositoryNotFoundError, lambda: asked.not_found(status)),
        (errors.EntryNotFoundError, asked.no_config),
        (errors.OfflineModeIsEnabled, asked.offline),
        (errors.HfHubHTTPError, lambda: asked.forbidden() if status in (401, 403) else asked.failing(status)),
        (httpx2.HTTPError, lambda: asked.failing(None)),
        (OSError, asked.unreachable),
    )
    for kinds, sentence in table:
        if isinstance(error, kinds):
            return sentence()
    return asked.not_a_hub()
