"""The Hugging Face Hub: an id to a `ModelSpec`. The only module that talks to it; everything it says is checked.

`huggingface_hub` and `transformers` cost a second each to import, so they are loaded by the first call that needs
them. Neither ever runs code from a repository.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from estimators.architecture.hub_bounds import (
    Limits,
    OutOfTime,
    OverLimit,
    Refused,
    Undecodable,
    limited,
    make_client,
    within,
)
from estimators.architecture.hub_config import (
    ConfigObject,
    parse_completed,
    read_config,
    read_text,
    remember,
    too_large,
)
from estimators.architecture.hub_errors import (
    Asked,
    BadModelId,
    ConfigMissing,
    ConfigUnreadable,
    GatedModel,
    HubOffline,
    HubRefusal,
    HubUnavailable,
    ModelForbidden,
    ModelNotFound,
    RateLimited,
    RevisionNotFound,
    WeightsUnreadable,
)
from estimators.architecture.hub_pages import (
    QuantizedCheckpoint,
    file_sizes,
    precision_in_name,
    weight_files,
    weight_files_bytes,
)
from estimators.architecture.hub_weights import BadHeader, read_headers
from estimators.architecture.parse import MAX_CONFIG_BYTES, UnknownArchitecture
from estimators.architecture.spec import ModelSpec
from estimators.architecture.stored import HeaderError, spec_from_headers

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = [
    "BadModelId",
    "ConfigMissing",
    "ConfigUnreadable",
    "GatedModel",
    "HubClient",
    "HubModel",
    "HubOffline",
    "HubRefusal",
    "HubUnavailable",
    "ModelForbidden",
    "ModelNotFound",
    "QuantizedCheckpoint",
    "RateLimited",
    "RevisionNotFound",
    "WeightsUnreadable",
]

T = TypeVar("T")

PUBLIC_HUB = "https://huggingface.co"
MAX_ANSWER_BYTES = 16 << 20  # a model page with the sizes of some thousand files takes about a megabyte
MAX_CHUNK_BYTES = 1 << 20  # what the HTTP client may hand over in one piece beyond what was asked for
MODEL_ID = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_][\w.-]{0,95}(/[A-Za-z0-9_][\w.-]{0,95})?", re.ASCII)
REVISION = re.compile(r"(?!.*(\.\.|//))[A-Za-z0-9][\w.+/-]{0,199}", re.ASCII)
TOKEN = re.compile(r"[!-~]+")  # anything else could not travel in a header, and clients log what they refuse
COMMIT = re.compile(r"[0-9a-f]{40}")
NO_ROOM = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST}
_LOADING = threading.Lock()
_loaded = threading.Event()


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model of the Hub, with what its page says beside the config."""

    spec: ModelSpec
    gated: bool
    weight_files_bytes: int | None  # of the safetensors files a loader reads; None when the page does not say
    filled: tuple[str, ...]  # fields the config left out, filled from the config class of transformers
    from_disk: bool  # read from the local cache, because offline or the Hub did not answer


class HubClient:
    """Reads models of one Hub. `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` fill what is not given.

    No call takes much longer than `timeout_s`, whatever the server does.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: str | None = None,
        offline: bool | None = None,
        timeout_s: float = 8.0,
        cache_dir: Path | None = None,
    ) -> None:
        self.endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/")
        self.offline = _env_offline() if offline is None else offline
        self.timeout_s = timeout_s
        self.cache_dir = cache_dir  # None is where every tool of the Hub keeps it, under HF_HOME
        self._token = (token or os.environ.get("HF_TOKEN") or "").strip() or None

    def fetch_spec(self, model_id: str, revision: str | None = None) -> ModelSpec:
        """The model at the commit that `revision` (a branch, tag or commit; default main) stands for now."""
        return self.fetch(model_id, revision).spec

    def fetch(self, model_id: str, revision: str | None = None) -> HubModel:
        """As `fetch_spec`, with what the page says beside the config.

        Raises a `HubRefusal`, or `ConfigError` or `UnknownArchitecture` for a config that cannot be used.
        """
        asked = self._asked(model_id, revision)
        if self.offline:
            found = self._from_disk(asked, "offline")
            if found is None:
                raise asked.offline()
            return found
        deadline = time.monotonic() + self.timeout_s
        try:
            return _in_time(asked, deadline, lambda: self._from_hub(asked, deadline))
        except HubUnavailable:
            found = self._from_disk(asked, "the Hub did not answer")
            if found is None:
                raise
            return found

    def find_quantized(self, base_model_id: str, limit: int = 40) -> tuple[QuantizedCheckpoint, ...]:
        """Checkpoints that quantize this model: those that declare it, then Red Hat AI's by name; most used first."""
        asked = self._asked(base_model_id, None)
        if self.offline:
            raise HubOffline("HF_HUB_OFFLINE is set, so checkpoints cannot be looked up.", "Unset it to look them up.")
        deadline = time.monotonic() + self.timeout_s
        return _in_time(asked, deadline, lambda: self._quantized(asked, limit, deadline))

    def _asked(self, model_id: str, revision: str | None) -> Asked:
        if not MODEL_ID.fullmatch(model_id) or model_id.endswith(".git"):
            shown = model_id if len(model_id) <= 60 else model_id[:60] + "..."
            raise BadModelId(
                f"{shown!r} is not a model id.", "Ids look like organisation/name, as in Qwen/Qwen2.5-7B-Instruct."
            )
        asked = Asked(
            model_id=model_id,
            revision=revision,
            endpoint=self.endpoint,
            signed_in=self._token is not None,
            timeout_s=self.timeout_s,
        )
        if self._token is not None and not TOKEN.fullmatch(self._token):
            raise asked.not_a_token()
        if revision is not None and not REVISION.fullmatch(revision):
            raise asked.no_revision()
        return asked

    def _api(self) -> HfApi:
        _load_library()
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self._token, library_name="rightsize")

    def _from_hub(self, asked: Asked, deadline: float) -> HubModel:
        api = self._api()
        if self._token is None and _signed_in():
            asked = replace(asked, signed_in=True)
        with _library_calls(asked, deadline, MAX_ANSWER_BYTES):
            info = api.model_info(asked.model_id, revision=asked.revision, files_metadata=True)
            commit, sizes = info.sha, file_sizes(info.siblings)
        if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
            raise asked.not_a_hub()
        try:
            text = self._config_text(asked, api, commit, deadline)
        except ConfigMissing:
            raise asked.no_config(sizes) from None
        note = f"config.json of {asked.model_id} at {commit[:12]}, read from {asked.host}"
        config = read_config(text, asked.model_id)
        try:
            spec, filled = self._parsed(asked, config, commit, note)
        except UnknownArchitecture:
            if not weight_files(sizes):
                raise
            spec, filled = self._spec_from_weights(asked, config, commit, sizes, deadline), ()
        return HubModel(
            spec=spec,
            gated=bool(info.gated),
            weight_files_bytes=weight_files_bytes(sizes),
            filled=filled,
            from_disk=False,
        )

    def _config_text(self, asked: Asked, api: HfApi, commit: str, deadline: float) -> bytes:
        with _library_calls(asked, deadline, MAX_CONFIG_BYTES):
            try:
                path = Path(
                    api.hf_hub_download(asked.model_id, "config.json", revision=commit, cache_dir=self.cache_dir)
                )
                remember(path, asked.revision or "main")
                return read_text(path)
            except OverLimit:
                raise too_large(asked.model_id) from None
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                return self._front(asked, commit, "config.json", MAX_CONFIG_BYTES)  # no cache to write to

    def _front(self, asked: Asked, commit: str, name: str, count: int) -> bytes:
        """The first `count` bytes of a file, also from a server that ignores ranges and starts to send it all."""
        from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        url = hf_hub_url(asked.model_id, name, revision=commit, endpoint=self.endpoint)
        headers = {**build_hf_headers(token=self._token), "range": f"bytes=0-{count - 1}"}
        taken = bytearray()
        with get_session().stream("GET", url, headers=headers) as answer:
            hf_raise_for_status(answer)
            for chunk in answer.iter_bytes():
                taken += chunk
                if len(taken) >= count:
                    break
        return bytes(taken[:count])

    def _parsed(
        self, asked: Asked, config: dict[str, object], commit: str, note: str
    ) -> tuple[ModelSpec, tuple[str, ...]]:
        return parse_completed(config, _config_object, model_id=asked.model_id, source_note=note, revision=commit)

    def _spec_from_weights(
        self,
        asked: Asked,
        config: Mapping[str, object],
        commit: str,
        sizes: Mapping[str, int | None],
        deadline: float,
    ) -> ModelSpec:
        """Exact stored weights of an architecture nobody has described, from the headers of its files."""

        def front(name: str, count: int) -> bytes:
            with _library_calls(asked, deadline, count + MAX_CHUNK_BYTES, front_only=True):
                return self._front(asked, commit, name, count)

        try:
            headers = read_headers(weight_files(sizes), front)
            return spec_from_headers(
                headers,
                model_id=asked.model_id,
                source_note=f"safetensors headers of {asked.model_id} at {commit[:12]}, read from {asked.host}",
                config=config,
                revision=commit,
                file_bytes=sizes,
            )
        except (BadHeader, HeaderError) as problem:
            raise asked.bad_weights(str(problem)) from None
        except ConfigMissing:  # the page lists a file that is not there
            raise asked.bad_weights("one of them is missing") from None

    def _from_disk(self, asked: Asked, why: str) -> HubModel | None:
        """The config in the cache that every tool of the Hub shares, if it is there."""
        _load_library()
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(asked.model_id, "config.json", cache_dir=self.cache_dir, revision=asked.revision)
        if not isinstance(path, str):
            return None
        commit = Path(path).parent.name
        note = f"config.json of {asked.model_id} at {commit[:12]}, from the local cache ({why})"
        try:
            config = read_config(read_text(Path(path)), asked.model_id)
        except OverLimit:
            raise too_large(asked.model_id) from None
        spec, filled = self._parsed(asked, config, commit, note)
        return HubModel(spec=spec, gated=False, weight_files_bytes=None, filled=filled, from_disk=True)

    def _quantized(self, asked: Asked, limit: int, deadline: float) -> tuple[QuantizedCheckpoint, ...]:
        tag = f"base_model:quantized:{asked.model_id}"
        short = asked.model_id.rpartition("/")[2]
        api = self._api()
        with _library_calls(asked, deadline, MAX_ANSWER_BYTES):
            infos = [
                *api.list_models(filter=tag, sort="downloads", limit=limit),
                *api.list_models(author="RedHatAI", search=short, sort="downloads", limit=limit),
            ]
        found = {
            info.id: QuantizedCheckpoint(
                id=info.id,
                label=precision_in_name(info.id),
                declared=tag in (info.tags or ()),
                downloads=info.downloads if isinstance(info.downloads, int) else 0,
            )
            for info in infos
            if isinstance(info.id, str) and MODEL_ID.fullmatch(info.id) and info.id != asked.model_id
        }
        return tuple(sorted(found.values(), key=lambda copy: (not copy.declared, -copy.downloads, copy.id))[:limit])


def _signed_in() -> bool:
    """Whether `hf auth login` left a token, which the library then sends of itself."""
    from huggingface_hub import get_token

    return get_token() is not None


def _env_offline() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}  # as huggingface_hub.constants reads it


def _load_library() -> None:
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


def _config_object(model_type: str, config: dict[str, object]) -> ConfigObject:
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


def _in_time(asked: Asked, deadline: float, call: Callable[[], T]) -> T:
    try:
        return within(deadline, call)
    except OutOfTime:
        raise asked.too_slow() from None


@contextmanager
def _library_calls(asked: Asked, deadline: float, max_bytes: int, front_only: bool = False) -> Iterator[None]:
    """Limits for the calls in the block, and our sentence in place of whatever they raise.

    The cause is cut off: messages of the HTTP client may quote a header, and with it the token.
    """
    try:
        with limited(Limits(deadline=deadline, max_bytes=max_bytes, front_only=front_only)):
            yield
    except HubRefusal:
        raise
    except Exception as error:
        raise _refusal(asked, error) from None


def _refusal(asked: Asked, error: Exception) -> HubRefusal:
    """What an error of the library, of its HTTP client or of our limits means for the person who asked."""
    import httpx2
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return _refusal(asked, error.__cause__)  # "not in the cache either": the reason lies beneath
    status = getattr(getattr(error, "response", None), "status_code", None)
    table: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[], HubRefusal]], ...] = (
        (Refused, lambda: asked.failing(error.status if isinstance(error, Refused) else None)),
        ((OutOfTime, httpx2.TimeoutException), asked.too_slow),
        ((OverLimit, Undecodable), asked.not_a_hub),
        (errors.GatedRepoError, asked.gated),  # a kind of RepositoryNotFoundError, so before it
        (errors.RevisionNotFoundError, asked.no_revision),
        (errors.DisabledRepoError, asked.disabled),
        (errors.RepositoryNotFoundError, lambda: asked.not_found(status)),
        (errors.EntryNotFoundError, asked.no_config),
        (errors.OfflineModeIsEnabled, asked.offline),
        (errors.HfHubHTTPError, lambda: asked.forbidden() if status in (401, 403) else asked.failing(status)),
        ((httpx2.HTTPError, OSError), asked.unreachable),
    )
    for kinds, sentence in table:
        if isinstance(error, kinds):
            return sentence()
    return asked.not_a_hub()
