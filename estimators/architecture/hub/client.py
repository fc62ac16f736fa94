"""The Hugging Face Hub: an id to a `ModelSpec`. With `library` the only talker to it; all it says is checked.

`huggingface_hub` and `transformers` cost a second each to import, so they are loaded by the first call that needs
them. Neither ever runs code from a repository.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from estimators.architecture.gguf import BadGguf
from estimators.architecture.hub.bounds import OverLimit, without_password
from estimators.architecture.hub.config import (
    parse_completed,
    read_config,
    read_text,
    remember,
    too_large,
)
from estimators.architecture.hub.errors import (
    BadModelId,
    ConfigMissing,
    ConfigUnreadable,
    GatedModel,
    HubOffline,
    HubPending,
    HubQuestion,
    HubRefusal,
    HubUnavailable,
    HubUnreachable,
    ModelForbidden,
    ModelNotFound,
    RateLimited,
    RepositoryTooLarge,
    RevisionNotFound,
    WeightsUnreadable,
)
from estimators.architecture.hub.library import (
    config_object,
    in_time,
    library_calls,
    load_library,
    preload,
    signed_in_by_login,
)
from estimators.architecture.hub.pages import (
    HubListing,
    QuantizedCheckpoint,
    file_sizes,
    precision_in_name,
    weight_files,
    weight_files_bytes,
)
from estimators.architecture.hub.weights import BadHeader, read_headers
from estimators.architecture.model_id import MODEL_ID
from estimators.architecture.params_json import as_config
from estimators.architecture.parse import MAX_CONFIG_BYTES, UnknownArchitecture
from estimators.architecture.spec import ModelSpec, Reading
from estimators.architecture.stored import HeaderError, compared, spec_from_gguf, spec_from_headers

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
    "HubPending",
    "HubRefusal",
    "HubUnavailable",
    "HubUnreachable",
    "ModelForbidden",
    "ModelNotFound",
    "QuantizedCheckpoint",
    "RateLimited",
    "RepositoryTooLarge",
    "RevisionNotFound",
    "WeightsUnreadable",
    "preload",
]

PUBLIC_HUB = "https://huggingface.co"
MAX_ANSWER_BYTES = 16 << 20  # a model page with the sizes of some thousand files takes about a megabyte
GGUF_BYTES = 24 << 20  # a GGUF header holds the vocabulary: 6 MB for 150,000 tokens, twice that with its merges
MAX_CHUNK_BYTES = 1 << 20  # what the HTTP client may hand over in one piece beyond what was asked for
HEAD_WORDS = ("speculator", "eagle")  # in the names of RedHatAI's, and of what others train for EAGLE
REVISION = re.compile(r"(?!.*(\.\.|//))[A-Za-z0-9][\w.+/-]{0,199}", re.ASCII)
TOKEN = re.compile(r"[!-~]+")  # anything else could not travel in a header, and clients log what they refuse
COMMIT = re.compile(r"[0-9a-f]{40}")
NO_ROOM = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model of the Hub, with what its page says beside the config."""

    spec: ModelSpec
    gated: bool
    weight_files_bytes: int | None  # of the safetensors files a loader reads; None when the page does not say
    filled: tuple[str, ...]  # fields the config left out, filled from the config class of transformers
    from_disk: bool  # read from the local cache, because offline or the Hub did not answer
    config: Mapping[str, object] = field(default_factory=dict, repr=False)  # config.json as read, its size bounded


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
        self.endpoint = without_password((endpoint or os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/"))
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
        load_library()  # its import is not the server's time
        deadline = time.monotonic() + self.timeout_s
        try:
            return in_time(asked, deadline, lambda: self._from_hub(asked, deadline))
        except (HubUnavailable, RepositoryTooLarge) as away:
            try:
                found = self._from_disk(asked, "the Hub did not answer")
            except UnknownArchitecture:  # its files were to tell, and the Hub kept them
                raise away from None
            if found is None:
                raise
            return found

    def pending(self, model_id: str) -> HubPending:
        """What to say while `fetch` is under way in another thread."""
        return self._asked(model_id, None).pending()

    def find_quantized(self, base_model_id: str, limit: int = 40) -> tuple[QuantizedCheckpoint, ...]:
        """Checkpoints that quantize this model: those that declare it, then Red Hat AI's by name; most used first."""
        asked = self._asked(base_model_id, None)
        if self.offline:
            raise HubOffline("HF_HUB_OFFLINE is set, so checkpoints cannot be looked up.", "Unset it to look them up.")
        load_library()
        deadline = time.monotonic() + self.timeout_s
        return in_time(asked, deadline, lambda: self._quantized(asked, limit, deadline))

    def find_made_of(self, base_model_id: str, limit: int = 40) -> HubListing:
        """What quantizes a model, as `find_quantized`, and the heads that draft for it, in the time of one question."""
        asked = self._asked(base_model_id, None)
        deadline = time.monotonic() + self.timeout_s
        quantized = self.find_quantized(base_model_id, limit)
        heads = in_time(asked, deadline, lambda: self._heads(asked, limit, deadline))
        copies = tuple(copy for copy in quantized if not any(word in copy.id.lower() for word in HEAD_WORDS))
        return HubListing(quantized=copies, heads=heads)

    def _asked(self, model_id: str, revision: str | None) -> HubQuestion:
        if not MODEL_ID.fullmatch(model_id):
            shown = model_id if len(model_id) <= 60 else model_id[:60] + "..."
            raise BadModelId(
                f"{shown!r} is not a model id.", "Ids look like organisation/name, as in Qwen/Qwen2.5-7B-Instruct."
            )
        asked = HubQuestion(
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
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self._token, library_name="rightsize")

    def _from_hub(self, asked: HubQuestion, deadline: float) -> HubModel:
        api = self._api()
        if self._token is None and signed_in_by_login():
            asked = replace(asked, signed_in=True)
        with library_calls(asked, deadline, MAX_ANSWER_BYTES):
            info = api.model_info(asked.model_id, revision=asked.revision, files_metadata=True)
            commit, sizes = info.sha, file_sizes(info.siblings)
        if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
            raise asked.not_a_hub()
        try:
            text = self._config_text(asked, api, commit, deadline)
        except ConfigMissing:
            spec = self._without_config(asked, commit, sizes, deadline)
            return HubModel(
                spec=spec,
                gated=bool(info.gated),
                weight_files_bytes=weight_files_bytes(sizes),
                filled=(),
                from_disk=False,
            )
        note = f"config.json of {asked.model_id} at {commit[:12]}, read from {asked.host}"
        config = read_config(text, asked.model_id)
        try:
            spec, filled = self._parsed(asked, config, commit, note)
        except UnknownArchitecture:
            if not weight_files(sizes):
                raise
            spec, filled = self._spec_from_weights(asked, config, commit, sizes, deadline), ()
        else:
            if spec.reading is Reading.CONVENTION and weight_files(sizes):
                spec = self._checked_by_files(spec, asked, config, commit, sizes, deadline)
        if isinstance(info.id, str) and MODEL_ID.fullmatch(info.id) and info.id.lower() != asked.model_id.lower():
            spec = replace(spec, notes=(*spec.notes, f"{asked.model_id} is now called {info.id}."))
        return HubModel(
            spec=spec,
            gated=bool(info.gated),
            weight_files_bytes=weight_files_bytes(sizes),
            filled=filled,
            from_disk=False,
            config=config,
        )

    def _without_config(
        self, asked: HubQuestion, commit: str, sizes: Mapping[str, int | None], deadline: float
    ) -> ModelSpec:
        """A repository of other forms: Mistral's params.json, a GGUF file, or bare safetensors."""
        ggufs = sorted(name for name in sizes if name.endswith(".gguf") and "mmproj" not in name)
        where = f"of {asked.model_id} at {commit[:12]}, read from {asked.host}"
        if "params.json" in sizes:
            with library_calls(asked, deadline, MAX_CONFIG_BYTES + MAX_CHUNK_BYTES, front_only=True):
                text = self._front(asked, commit, "params.json", MAX_CONFIG_BYTES)
            config = as_config(read_config(text, asked.model_id))
            spec, _ = self._parsed(asked, config, commit, f"params.json {where}")
            return replace(spec, notes=(*spec.notes, "The repository has no config.json: read from its params.json."))
        if ggufs:
            with library_calls(asked, deadline, GGUF_BYTES + MAX_CHUNK_BYTES, front_only=True):
                front = self._front(asked, commit, ggufs[0], GGUF_BYTES)
            with suppress(BadGguf):
                return spec_from_gguf(
                    front, model_id=asked.model_id, source_note=f"header of {ggufs[0]} {where}", revision=commit
                )
        elif weight_files(sizes):
            return self._spec_from_weights(asked, {}, commit, sizes, deadline)
        raise asked.no_config(sizes)

    def _config_text(self, asked: HubQuestion, api: HfApi, commit: str, deadline: float) -> bytes:
        with library_calls(asked, deadline, MAX_CONFIG_BYTES):
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

    def _front(self, asked: HubQuestion, commit: str, name: str, count: int) -> bytes:
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
        self, asked: HubQuestion, config: dict[str, object], commit: str, note: str
    ) -> tuple[ModelSpec, tuple[str, ...]]:
        return parse_completed(config, config_object, model_id=asked.model_id, source_note=note, revision=commit)

    def _spec_from_weights(
        self,
        asked: HubQuestion,
        config: Mapping[str, object],
        commit: str,
        sizes: Mapping[str, int | None],
        deadline: float,
    ) -> ModelSpec:
        """Exact stored weights of an architecture nobody has described, from the headers of its files."""

        def front(name: str, count: int) -> bytes:
            with library_calls(asked, deadline, count + MAX_CHUNK_BYTES, front_only=True):
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

    def _checked_by_files(
        self,
        spec: ModelSpec,
        asked: HubQuestion,
        config: Mapping[str, object],
        commit: str,
        sizes: Mapping[str, int | None],
        deadline: float,
    ) -> ModelSpec:
        """What was read by convention, beside its files: theirs where the shapes show layers, else the difference."""
        try:
            found = self._spec_from_weights(asked, config, commit, sizes, deadline)
        except HubRefusal as problem:
            return replace(spec, notes=(*spec.notes, f"Its files could not settle it: {problem.message}"))
        said = compared(spec, found.stored) if found.stored is not None else ""
        if found.reading is Reading.MATCHED:
            return replace(found, notes=(*found.notes, said))
        return replace(spec, notes=(*spec.notes, said))

    def _from_disk(self, asked: HubQuestion, why: str) -> HubModel | None:
        """The config in the cache that every tool of the Hub shares, if it is there."""
        load_library()
        from huggingface_hub import try_to_load_from_cache

        try:
            path = try_to_load_from_cache(
                asked.model_id, "config.json", cache_dir=self.cache_dir, revision=asked.revision
            )
            text = read_text(Path(path)) if isinstance(path, str) else None
        except OverLimit:
            raise too_large(asked.model_id) from None
        except (OSError, ValueError):  # a cache that cannot be read, or a name the library knows no file for
            return None
        if not isinstance(path, str) or text is None:
            return None
        commit = Path(path).parent.name
        note = f"config.json of {asked.model_id} at {commit[:12]}, from the local cache ({why})"
        config = read_config(text, asked.model_id)
        spec, filled = self._parsed(asked, config, commit, note)
        return HubModel(spec=spec, gated=False, weight_files_bytes=None, filled=filled, from_disk=True, config=config)

    def _quantized(self, asked: HubQuestion, limit: int, deadline: float) -> tuple[QuantizedCheckpoint, ...]:
        tag = f"base_model:quantized:{asked.model_id}"
        short = asked.model_id.rpartition("/")[2]
        api = self._api()
        with library_calls(asked, deadline, MAX_ANSWER_BYTES):
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

    def _heads(self, asked: HubQuestion, limit: int, deadline: float) -> tuple[str, ...]:
        """Repositories that declare the model as what they were made of, and whose names say that they draft."""
        tag, api = f"base_model:{asked.model_id}", self._api()
        with library_calls(asked, deadline, MAX_ANSWER_BYTES):
            infos = [
                info
                for word in HEAD_WORDS
                for info in api.list_models(filter=tag, search=word, sort="downloads", limit=limit)
            ]
        declared = {
            info.id: info.downloads if isinstance(info.downloads, int) else 0
            for info in infos
            if isinstance(info.id, str) and MODEL_ID.fullmatch(info.id) and tag in (info.tags or ())
        }
        return tuple(sorted(declared, key=lambda name: (-declared[name], name))[:limit])


def _env_offline() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}  # as huggingface_hub.constants reads it
