"""The shared inputs: bound to the address bar, read back through the same validators as a link."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import streamlit as st

from app.exploring.asking import known_models
from app.exploring.model_search import find
from app.exploring.opened import MOST_NAME, open_link
from app.exploring.opened import unknown_model as why_unknown
from app.exploring.question_link import encode_question
from app.planning.answer import Kind
from app.planning.sentences import option_name
from app.presets import PRESETS
from app.scenario import (
    DEFAULTS,
    FROZEN,
    KEYS,
    LONGEST_VALUE,
    PAGE_MODEL,
    Decoded,
    LoadMode,
    Problem,
    Scenario,
    decode,
    decode_page,
    encode,
    model_text,
)
from app.views import question_inputs
from app.views.kept import into_address
from estimators.latency.estimate import TIMES
from estimators.precision import KvPrecision, Method, Weights
from estimators.provenance import Refusal
from estimators.quality.tasks import tasks_of_preset
from estimators.workload import Engine
from pricing.offers import PurchaseOption
from pricing.regions import region_label

BOXES = (*KEYS, "task", "reading", "choice")  # keys of the boxes drawn here, and of the choice of a plan

_NUMBERS = {  # label, smallest, help; blank means the default
    "gpus": ("GPUs per replica", 1, "Tensor-parallel count. Blank: all of the machine, or the fewest that fit."),
    "replicas": ("Replicas", 1, "Copies of the model. Blank: as many as the rate needs, else one."),
    "pp": ("Pipeline stages", 1, "Pipeline-parallel count. Blank: 1."),
    "ep": ("Expert parallel", 1, "Accelerators the experts are spread over. Blank: 1."),
    "max_len": ("Longest context", 1, "Tokens a request may grow to. Blank: prompt + output."),
    "batched_tokens": (
        "Prefill chunk",
        1,
        "Tokens per step, vLLM --max-num-batched-tokens. Blank: the engine's default.",
    ),
    "max_num_seqs": (
        "Most requests at once",
        1,
        "vLLM --max-num-seqs; what is more queues. Blank: the engine's default, raised to the load.",
    ),
    "dp": ("Data-parallel ranks", 1, "Ranks of attention, each with its own cache and share of the load. Blank: 1."),
    "spec_tokens": ("Drafted tokens", 1, "Speculative tokens per step. Blank: 3."),
}
_TEXTS = {
    "rate": ("Requests/s", "none", "Requests a second in all, arriving at random. Leave people at once blank."),
    "ttft": ("First token, s", "no limit", "Within this many seconds, for 95 of 100 requests."),
    "tpot": (f"{TIMES['tpot']}, s", "none", "The speed of reading as seconds a token; the first token is excluded."),
    "e2e": (f"{TIMES['e2e']}, s", "none", "Objective at the 95th percentile."),
    "gpu": ("Accelerator", "auto", "Any name: A10G, H100, L40S, MI300X. Auto takes the cheapest that fits."),
    "instance": ("EC2 instance type", "auto", "Such as g6.xlarge. All its accelerators serve one replica."),
    "hours": ("Hours a month", "730", "Reserved, Savings Plan and owned machines bill 730 whatever this says."),
    "discount": ("Discount, %", "0", "Off every price of AWS, whatever the machine and however it is paid."),
    "negotiated": (
        "Negotiated prices",
        "list prices",
        "Dollars an hour of whole machines: p5.48xlarge:40, g6.xlarge:0.6. No discount is taken off them.",
    ),
    "engine_version": ("Engine version", "newest known", "Such as 0.11.0."),
    "util": ("GPU memory share", "0.92", "Share of GPU memory the engine may take."),
    "lora": ("LoRA adapters", "none", "Resident at once, count@rank: 4@16."),
    "prefix": ("Prefix cache hits", "0", "Share of prompt tokens served from the prefix cache, 0 to 1."),
    "spec": ("Speculative decoding", "none", "none, ngram, eagle, mtp, or a draft model's id."),
    "accept": ("Acceptance", "published", "Chance that a drafted token is accepted, 0 to 1."),
}
_TOKENS = {"prompt": ("Tokens in", 100_000_000, 128), "output": ("Tokens out", 10_000_000, 64)}  # label, most, step
_SELECTS: dict[str, tuple[str, list[str], str]] = {  # label, options with the usual one first, help
    "weights": (
        "Precision",
        list(Weights),
        "as-published leaves it open to the cheapest plan. int4 is W4A16 with groups of 128; int8 is W8A8.",
    ),
    "load": ("Load", ["auto", *LoadMode], "max: as many as the engine takes. batch: started together."),
    "engine": ("Engine", list(Engine), "The serving engine the estimate is for."),
    "kv": ("KV cache", list(KvPrecision), "Precision of the KV cache."),
    "method": ("Quantized by", list(Method), "Matters for bytes and quality."),
    "eager": ("Eager", ["false", "true"], "true: no captured graphs, vLLM --enforce-eager."),
}
MORE = (  # what stands under More: title, and the boxes of its four columns
    ("Tokens, precision and limits", (("prompt", "weights"), ("output", "tpot"), ("e2e",), ("load", "prefix"))),
    ("Machine", (("instance", "gpus"), ("gpu", "replicas"), ("pp", "dp"), ("hours", "ep"))),
    ("What you negotiated", (("discount",), ("negotiated",), (), ())),
    (
        "Engine",
        (
            ("engine", "engine_version", "util", "max_num_seqs"),
            ("kv", "max_len", "batched_tokens"),
            ("method", "spec", "lora"),
            ("spec_tokens", "accept", "eager"),
        ),
    ),
)
_MORE_KEYS = [key for _, groups in MORE for keys in groups for key in keys]


def canonicalise() -> None:
    """Once per session, before any widget: read the link, clean the address bar, remember what was not used."""
    if "asked" in st.session_state:
        return
    raw = {key: values[-1] for key in st.query_params if (values := st.query_params.get_all(key))}
    repeated = [key for key in raw if len(st.query_params.get_all(key)) > 1]
    link = open_link(raw)
    raw, decoded, decision = dict(link.raw), link.decoded, link.decision
    twice = (Problem(key, key[:40], "was given more than once; the last was used.") for key in repeated)
    of_pages, unread = decode_page(raw)
    problems = (*decoded.problems, *twice, *unread)
    st.session_state.asked = decoded.scenario
    st.session_state.linked_decision = decision
    st.session_state.frozen = {key: text for key, text in raw.items() if key in FROZEN} if decision else {}
    st.session_state.problems = problems
    flat = _flat(decoded.scenario)
    for key, value in _widget_values(flat).items():
        st.session_state[key] = value
    kept = address(decoded.scenario) | st.session_state.frozen
    kept |= encode_question(question_inputs.read_link()) | {key: raw[key] for key in of_pages}
    if any(problem.key == "model" and not problem.ignored for problem in problems):
        kept["model"] = st.session_state.model = raw["model"][:MOST_NAME]  # it stays, to be asked back
    if raw.get("choice") in list(Kind):
        kept["choice"] = st.session_state.choice = raw["choice"]
    renamed = raw.get("model", "") != st.query_params.get("model", "")
    if kept != raw or renamed:
        st.query_params.from_dict(kept)
    if problems or renamed or st.session_state.question_problems:
        st.rerun()  # so that no widget is seeded from a value that was just refused


def address(scenario: Scenario) -> dict[str, str]:
    """The parameters of the address that say this scenario; what the page starts with is left out."""
    flat = _flat(scenario)
    return {key: text for key, text in flat.items() if (key, text) != ("model", PAGE_MODEL)}


def _flat(scenario: Scenario) -> dict[str, str]:
    flat = encode(scenario)
    if scenario.model is None and scenario.params is not None:
        flat.pop("params"), flat.pop("active", None)
        flat["model"] = model_text(scenario)
    return flat


def _widget_values(flat: dict[str, str]) -> dict[str, object]:
    """Widget state for each flat parameter; absent ones keep the widget's own default."""
    values: dict[str, object] = {}
    for key, text in flat.items():
        if key in _NUMBERS or key in ("prompt", "output", "concurrency"):
            values[key] = int(text)
        elif key not in ("params", "active", "price", "price_as_of"):
            values[key] = text
    return values


def _text_input(key: str) -> None:
    label, placeholder, tip = _TEXTS[key]
    st.text_input(label, key=key, bind="query-params", placeholder=placeholder, help=tip, max_chars=LONGEST_VALUE)


def _number_input(key: str) -> None:
    label, smallest, tip = _NUMBERS[key]
    st.number_input(
        label,
        min_value=smallest,
        max_value=100_000_000,
        value=None,
        step=1,
        key=key,
        bind="query-params",
        placeholder="auto",
        help=tip,
    )


def _tokens_input(key: str) -> None:
    label, most, step = _TOKENS[key]
    st.number_input(label, min_value=1, max_value=most, value=DEFAULTS[key], step=step, key=key, bind="query-params")


def _select(key: str) -> None:
    label, options, tip = _SELECTS[key]
    st.selectbox(label, options, key=key, bind="query-params", help=tip)


def _choice(key: str, label: str, options: Sequence[str], name: Callable[[Any], str], tip: str) -> None:
    """A box that shows words where the parameter holds a key, which a bound box cannot; `question_inputs.carry` binds
    the key."""
    state, shown = st.session_state, f"{key}_shown"
    state[shown] = state.get(key) or DEFAULTS[key]

    def take() -> None:
        state[key] = "" if state[shown] == DEFAULTS[key] else str(state[shown])

    st.selectbox(label, options, key=shown, format_func=name, on_change=take, filter_mode="contains", help=tip)


@lru_cache(maxsize=256)
def _city(region: str) -> str:
    return region_label(region).partition(",")[0]


def draw(models: Sequence[str], regions: tuple[str, ...]) -> None:
    """The question: what is served, to how many, how fast, where and how it is paid; task presets; and the rest folded.

    Drawn by the entry point in the same place on every page: a box that moves would lose its value and its parameter.
    """
    with st.container(key="inputs", horizontal=True, vertical_alignment="bottom"):  # page.css says how wide each is
        _draw_model(models)
        st.number_input(
            "People at once",
            min_value=1,
            max_value=1_000_000,
            value=None,
            step=1,
            key="concurrency",
            bind="query-params",
            placeholder="1",
            help="Waiting for a reply at the same time; each asks again when it has it. Blank: 1, or the rate.",
        )
        _text_input("rate")
        _text_input("ttft")
        _draw_reading()
        _choice("region", "Region", _with_current("region", list(regions)), _city, "Where the machine is rented.")
        _choice("buy", "Payment", list(PurchaseOption), option_name, "How the machine is paid for.")
    st.pills(
        "Task",
        list(PRESETS),
        key="task",
        on_change=_apply_preset,
        label_visibility="collapsed",
        help="Sets tokens in and out and the cached share to a typical shape. Change them under More.",
    )
    with st.expander("More: precision, tokens, machine, discount, engine", key="more", on_change="rerun") as fold:
        _draw_more(opened=bool(fold.open))


def _draw_model(models: Sequence[str]) -> None:
    st.selectbox(
        "Model",
        _with_current("model", models),
        index=models.index(PAGE_MODEL),
        key="model",
        accept_new_options=True,
        bind="query-params",
        on_change=_find_model,
        help="A name such as Llama 3.3 70B, a Hugging Face id, or a size such as 8B or 30B-A3B. Then press Enter.",
    )


def _find_model() -> None:
    """A name as people write it becomes the id that is meant; what names nothing is kept, to be asked back."""
    text = str(st.session_state.get("model") or "")
    st.session_state.model = (find(text, known_models()).model or text[:MOST_NAME]) if text else PAGE_MODEL


def unknown_model() -> Refusal | None:
    """Why there is no answer while the model that was named is none known here."""
    return why_unknown(str(st.session_state.get("model") or ""))


def _draw_reading() -> None:
    """The limit on time per token as people say it, either way round; the parameter `tpot` holds it in seconds."""
    try:
        seconds = float(st.session_state.get("tpot") or 0)
    except ValueError:
        seconds = 0.0
    if seconds != reading_seconds(st.session_state.get("reading") or ""):
        st.session_state.reading = f"{1 / seconds:.3g} tokens/s" if seconds > 0 else ""
    st.text_input(
        "Reads at least",
        key="reading",
        on_change=_set_reading,
        placeholder="no limit",
        max_chars=30,
        help="Tokens a second and person, such as 30; or milliseconds a token, such as 33 ms.",
    )


def reading_seconds(text: str) -> float:
    """ "30", "30 tokens/s" and "33.3 ms" as seconds a token; 0 for what says neither."""
    read = re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]{1,4})?)\s*(ms\b.*|t.*)?", text, re.I | re.ASCII)
    if read is None or float(read[1]) == 0:
        return 0.0
    slow = (read[2] or "").lower().startswith("ms")
    return round(float(read[1]) / 1e3 if slow else 1 / float(read[1]), 6)


def _set_reading() -> None:
    seconds = reading_seconds(st.session_state.get("reading") or "")
    st.session_state.tpot = f"{seconds:.6f}".rstrip("0") if seconds else ""


def _with_current(key: str, options: Sequence[str]) -> Sequence[str]:
    current = st.session_state.get(key)
    return options if not isinstance(current, str) or current in options else [*options, current]


def _draw_more(*, opened: bool) -> None:
    """Every box where they are unfolded; else those that hold something, without which the address would lose it."""
    if not opened:
        held = st.session_state.to_dict()
        for key in _MORE_KEYS:
            if not _is_unset(key, held.get(key)):
                into_address(key, str(held[key]))
                _box(key)
        return
    for title, groups in MORE:
        st.caption(title)
        for column, keys in zip(st.columns(4), groups, strict=True):
            with column:
                for key in keys:
                    _box(key)


def _is_unset(key: str, value: object) -> bool:
    usual = DEFAULTS[key] if key in _TOKENS else _SELECTS[key][1][0] if key in _SELECTS else ""
    return value in (None, "", usual)


def _box(key: str) -> None:
    if key in _TOKENS:
        _tokens_input(key)
    elif key in _SELECTS:
        _select(key)
    elif key in _NUMBERS:
        _number_input(key)
    else:
        _text_input(key)


def _apply_preset() -> None:
    preset = PRESETS.get(st.session_state.get("task") or "")
    if preset is None:
        return
    st.session_state.prompt, st.session_state.output = preset.prompt, preset.output
    st.session_state.prefix = "" if preset.prefix == 0 else f"{preset.prefix:g}"
    if tasks := tasks_of_preset(st.session_state.task.lower().replace(" ", "-")):
        st.session_state.bar_task = tasks[0].task


def read(held: Mapping[str, object]) -> Decoded:
    """What the session holds, through the validators of a link."""
    raw = {
        key: str(value)
        for key in KEYS
        if key not in ("price", "price_as_of") and (value := held.get(key)) not in (None, "")
    }
    linked: Scenario = st.session_state.asked
    decoded = decode(raw)
    if linked.price is not None and _same_purchase(linked, decoded.scenario):
        frozen = {k: v for k, v in encode(linked).items() if k in ("price", "price_as_of")}
        decoded = decode({**raw, **frozen})
    return decoded


def _same_purchase(one: Scenario, other: Scenario) -> bool:
    """A frozen price belongs to one machine, region and way to pay, and to what was negotiated: a change thaws it."""
    if st.session_state.get("thawed"):
        return False
    bought = attrgetter("instance", "gpu", "region", "buy", "discount", "negotiated")
    return bool(bought(one) == bought(other))


def link_of(resolved: Scenario) -> dict[str, str]:
    """Every resolved field and the version, as flat parameters."""
    return encode(resolved, every_field=True)
