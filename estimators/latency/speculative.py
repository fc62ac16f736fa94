"""Speculative decoding: what drafting and verifying cost, what acceptance earns, and where the load undoes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from estimators.hardware.accelerator import Accelerator
from estimators.latency.numeric import FLOATS, Number
from estimators.latency.serving import Request, Scheduler, Server
from estimators.latency.sharding import Product, Shard, shard_of
from estimators.latency.step import Rates, Step
from estimators.precision import Precision
from estimators.provenance import Refusal, Term, read_table
from estimators.remembered import Remembered
from estimators.workload import DRAFTERS, Placement, Speculation

_TABLE = Path(__file__).parent / "data" / "acceptance.csv"
_NGRAM_SECONDS = 2e-4  # a look-up in the request's own tokens, on the host


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Published chance that a drafted token is kept, per method."""

    method: str
    per_token: float
    source: str
    as_of: str


@cache
def acceptances() -> Mapping[str, Acceptance]:
    return {
        row["method"]: Acceptance(
            method=row["method"], per_token=float(row["per_token"]), source=row["source"], as_of=row["as_of"]
        )
        for row in read_table(_TABLE)
        if row["default"] == "1"
    }


def tokens_per_step(acceptance: float, drafted: int) -> float:
    """Expected tokens a step yields: (1 - a^(g+1)) / (1 - a), drafts kept until the first miss, plus one.

    Leviathan et al., arXiv:2211.17192, equation 1. a = 0.8, g = 3: 2.952.
    """
    if acceptance >= 1.0:
        return drafted + 1.0
    return float((1.0 - acceptance ** (drafted + 1)) / (1.0 - acceptance))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A drafting method on a model: passes per step, the shard of one pass, and what comes of it."""

    method: str
    tokens: int
    acceptance: float
    gained: float  # tokens per step
    shard: Shard | None  # of one drafting pass; None drafts on the host
    rates: Rates
    host_s: float
    source: str
    notes: tuple[str, ...]

    def seconds(self, running: Number, context: Number, minimum: Number = min) -> Number:
        """Drafting of one step: g passes of the draft at the same load, plus the host's part.

        With `minimum` of arrays it is the same over many drafts at once.
        """
        if self.shard is None:
            return self.host_s
        terms = Step(self.shard, self.rates, prompts=False, context=context, minimum=minimum).terms(running)
        return self.tokens * (terms.total - terms.host) + self.host_s

    def request(self, request: Request, running: Number = 1.0, minimum: Number = min) -> Request:
        context = request.cached + request.prompt + 0.5 * request.output
        return replace(
            request,
            accepted=self.gained,
            verified=self.tokens + 1.0,
            drafting=self.seconds(running, context, minimum),
        )

    @property
    def terms(self) -> tuple[Term, ...]:
        a, g = self.acceptance, self.tokens
        return (
            Term(
                label="Tokens per verified step",
                value=self.gained,
                unit="token",
                formula=f"(1 - a^(g+1)) / (1 - a) = (1 - {a:.2f}^{g + 1}) / (1 - {a:.2f})",
                source=f"arXiv:2211.17192 eq. 1; acceptance: {self.source}",
            ),
        )


def draft_for(
    speculation: Speculation,
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    shard: Shard,
    rates: Rates,
    draft: Precision | None = None,
) -> Draft:
    """The drafting this asks for; `draft` is the draft model, looked up in the catalogue where it is not given.

    Raises `Refusal` for a method, a token count or an acceptance out of range, and for a draft that is not known.
    """
    method, tokens = speculation.method, speculation.tokens
    if method not in DRAFTERS:
        raise Refusal(f"{method!r} is no drafting method.", field="spec", remedy=f"Use {', '.join(DRAFTERS)}.")
    if not 1 <= tokens <= 16:
        raise Refusal("Between 1 and 16 tokens are drafted per step.", field="spec_tokens")
    if speculation.acceptance is None:
        published = acceptances()[method]
        acceptance, source = published.per_token, f"{published.source} ({published.as_of})"
    else:
        acceptance, source = speculation.acceptance, "given"
    if not 0.0 <= acceptance <= 1.0:
        raise Refusal("Acceptance is a share between 0 and 1.", field="accept")
    made, notes = _draft_shard(speculation, precision, accelerator, placement, shard, draft)
    return Draft(
        method=method,
        tokens=tokens,
        acceptance=acceptance,
        gained=tokens_per_step(acceptance, tokens),
        shard=made,
        rates=rates,
        host_s=_NGRAM_SECONDS if made is None else 0.0,
        source=source,
        notes=notes,
    )


_LAYERS: Remembered[Shard] = Remembered(1024)


def _draft_shard(
    speculation: Speculation,
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    shard: Shard,
    draft: Precision | None,
) -> tuple[Shard | None, tuple[str, ...]]:
    if speculation.method == "ngram":
        return None, ()
    if speculation.method == "draft":
        return _draft_model(speculation, accelerator, placement, draft)
    layers = float(max(1, precision.spec.layer_count))
    if speculation.method == "mtp":
        one = _LAYERS.of((shard,), (layers, "mtp"), lambda: _one_layer(shard, layers))
        return one, ("The multi-token-prediction layer is taken as one layer of the model plus its head.",)
    dense = _LAYERS.of((shard,), (layers, "dense"), lambda: _dense(_one_layer(shard, layers)))
    return dense, ("The EAGLE head is taken as one dense layer of the model plus its LM head.",)


def _dense(shard: Shard) -> Shard:
    return replace(shard, expert=Product(), experts_per_token=0.0, experts=1.0, expert_layers=0.0, has_experts=False)


def _one_layer(shard: Shard, layers: float) -> Shard:
    def part(product: Product) -> Product:
        return replace(product, bytes=product.bytes / layers, elements=product.elements / layers)

    return replace(
        shard,
        linear=part(shard.linear),
        wide=part(shard.wide),
        expert=part(shard.expert),
        kv_bytes=shard.kv_bytes / layers,
        pair_decode=shard.pair_decode / layers,
        window_kv_bytes=shard.window_kv_bytes / layers,
        window_pair=shard.window_pair / layers,
        state_bytes=shard.state_bytes / layers,
        activation_bytes=shard.activation_bytes / layers,
        collectives=shard.collectives / layers,
        collective_bytes=shard.collective_bytes / layers,
        products=shard.products / layers,
        expert_layers=shard.expert_layers / layers,
        attentions=shard.attentions / layers,
        kernels=shard.kernels / layers + 6.0,
        stages=1.0,
    )


def _draft_model(
    speculation: Speculation, accelerator: Accelerator, placement: Placement, draft: Precision | None
) -> tuple[Shard, tuple[str, ...]]:
    from estimators.architecture.catalogue import load_spec
    from estimators.precision import resolve_precision

    if not speculation.draft_model:
        raise Refusal("No draft model is named.", field="spec", remedy="Give its Hub id.")
    draft = draft or resolve_precision(load_spec(speculation.draft_model))
    made = shard_of(draft, accelerator, Placement(tp=placement.tp))
    return made, (f"{speculation.draft_model} is split over the same {placement.tp} GPUs.",)


def pays(server: Server, draft: Draft, plain: Request, scheduler: Scheduler, population: float) -> float:
    """Throughput with drafting over throughput without, at a closed population."""
    running = min(population, float(scheduler.running))
    drafted = Server(server.shard, server.rates, scheduler, draft.request(plain, running), FLOATS)
    without = Server(server.shard, server.rates, scheduler, plain, FLOATS)
    return float(drafted.closed(population).requests_per_s / without.closed(population).requests_per_s)


def break_even(server: Server, draft: Draft, plain: Request, scheduler: Scheduler) -> float | None:
    """Concurrency above which drafting slows the server down; None when it still pays at the engine's limit.

    1.0 means it never pays. Found by bisection on log concurrency: the gain falls as verification turns
    compute-bound.
    """
    limit = float(min(scheduler.running, 4096.0))
    if pays(server, draft, plain, scheduler, 1.0) <= 1.0:
        return 1.0
    if pays(server, draft, plain, scheduler, limit) > 1.0:
        return None
    low, high = 1.0, limit
    for _ in range(20):
        middle = (low * high) ** 0.5
        if pays(server, draft, plain, scheduler, middle) > 1.0:
            low = middle
        else:
            high = middle
        if high / low < 1.02:
            break
    return high
