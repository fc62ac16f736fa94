"""From step times to a served load: one request, a closed population, Poisson arrivals, a static batch, the maximum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from estimators.latency.numeric import Number, Numeric
from estimators.latency.sharding import Shard
from estimators.latency.step import Rates, Step

_ITERATIONS = 40
_MISSED = 1e-3  # by which a search that ended may miss N; beyond it there is no rate that meets N
_LOWEST = math.log(1e-3)  # of the fastest rate, where a search begins
_LEAST_KEPT = 0.1  # weight of an end that stays though the last guess did not come nearer
_BUSIEST = 0.97  # share of time prefill can take: running requests still move, and a queue stays finite
_RAMP = 0.1  # share of requests that start together: one wave in ten, as published runs have it
UNENDING = 1e9  # requests of a run whose end does not show
_MORE = 1.05  # by which the number running is raised to see what it does to a token


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """How the engine shares steps between prompts and running requests."""

    chunk: Number  # most prompt tokens in one step
    mixes: Number  # 1: a prompt chunk and the running requests share a step; 0: prompts get steps of their own
    running: Number  # most requests the engine runs at once (its setting and the KV cache)
    poll: Number = 1.0  # decode steps between two looks at the queue of arrivals
    graph_context: Number = 1e9  # longest context decoded from a captured graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Mean lengths in tokens. `prompt` is what has to be computed, after prefix-cache hits; `cached` the rest."""

    prompt: Number
    cached: Number
    output: Number
    accepted: Number = 1.0  # tokens gained per step of a running request (more than 1 under speculation)
    verified: Number = 1.0  # tokens computed per step of a running request
    drafting: Number = 0.0  # seconds of drafting per step, at this load
    alike: Number = 0.0  # 1: every request is as long as every other, as in benchmarks and nowhere else


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """Means over requests in steady state, and what the quantiles are made of."""

    ttft: Number
    tpot: Number
    e2e: Number
    requests_per_s: Number
    running: Number  # decoding at once
    decode_step: Number
    mixed_step: Number
    mixed_share: Number  # share of steps that carry prompt tokens
    queue: Number  # seconds of TTFT spent waiting for other prompts
    waiting: Number  # seconds of TTFT spent waiting for a free slot
    own: Number  # seconds of a request's own prefill steps
    chunk: Number  # prompt tokens in a step that carries any
    ramp: Number  # seconds of mean TTFT that come from the start of a run, when all prompts arrive together
    busy: Number = 0.0  # share of time that prompts take: the chance that an arrival meets one
    mixes: Number = 1.0  # 1: a step with a prompt gives running requests a token too; 0: it only holds them up
    swing: Number = 0.0  # relative standard deviation of a request's TPOT from how many others happen to run


class _Crowd(NamedTuple):
    """What a number of requests in flight settles, whatever the rate at which they come."""

    active: Number  # as many as run at once
    others: Number  # share of them that a request meets
    stay: Number  # seconds of decoding beside all of them
    ahead: Number  # prompts before one's own where all start together
    train: Number  # prompts before one's own where all are of one length


class Server:
    """One replica: step times of a shard at its rates, for requests of given mean lengths."""

    def __init__(self, shard: Shard, rates: Rates, scheduler: Scheduler, request: Request, numeric: Numeric) -> None:
        self.shard, self.rates, self.scheduler, self.request, self.n = shard, rates, scheduler, request, numeric
        self.context = request.cached + request.prompt + 0.5 * request.output
        self.prompt_context = request.cached + 0.5 * request.prompt
        self.own_chunks = numeric.ceil(request.prompt / scheduler.chunk)
        self.output = numeric.maximum(request.output - 1.0, 0.0)  # tokens after the first
        self.own_chunk = numeric.minimum(request.prompt, scheduler.chunk)
        self.staged_prompt = request.prompt / shard.stages

    @cached_property
    def _decoding(self) -> Step:
        n, verified = self.n, self.request.verified
        eager = n.where(self.context > self.scheduler.graph_context, 1.0, 0.0)
        return Step(
            self.shard, self.rates, prompts=False, context=self.context, verified=verified, minimum=n.minimum,
            eager=eager,
        )  # fmt: skip

    @cached_property
    def _mixing(self) -> Step:
        return Step(
            self.shard, self.rates, prompts=True, context=self.context, prompt_context=self.prompt_context,
            verified=self.request.verified, minimum=self.n.minimum, eager=1.0,
        )  # fmt: skip

    def decode(self, running: Number) -> Number:
        """A step in which `running` requests get their next token(s); with PP, each stage holds 1/PP of them."""
        return self._decoding.seconds(running / self.shard.stages) + self.request.drafting

    def mixed(self, running: Number, prompt_tokens: Number) -> Number:
        """A step with prompt tokens, and with the running requests too where the engine mixes them."""
        return self._mixing.seconds(running / self.shard.stages * self.scheduler.mixes, prompt_tokens)

    def front(self) -> Number:
        return self.rates.request_s

    @cached_property
    def prefill_alone(self) -> Number:
        """Prefill of one prompt on an idle server: its chunks one after another, overlapped over PP stages."""
        chunks = self.own_chunks
        overlap = (chunks + self.shard.stages - 1.0) / self.shard.stages
        return overlap * self.mixed(0.0, self.request.prompt / chunks)

    def _interference(self, rate: Number, others: Number, running: Number, bunching: Number) -> tuple[Number, ...]:
        """Steps at an arrival rate: (mixed step, prompt tokens in it, TPOT, prefill busy share, decode step).

        `bunching` is how much denser arrivals come than if they were even: 1 for Poisson arrivals.
        Per second rho = X P / p steps carry p prompt tokens and take M; the rest are decode steps of D:
        rho M + s D = 1, so a running request gets rho + s tokens a second (s where prompts do not share steps).
        """
        n, request = self.n, self.request
        own, met = self.own_chunk, rate * others
        mixed = self.mixed(running, own)
        arrivals = n.maximum(1.0, bunching * met * mixed)
        tokens = n.minimum(self.scheduler.chunk, arrivals * request.prompt)
        crowded = tokens > own * 1.001
        if n.any(crowded):
            mixed = n.where(crowded, self.mixed(running, tokens), mixed)
        decode = self.decode(n.maximum(running, 1.0))
        busy = n.minimum(met * self.staged_prompt / tokens * mixed, _BUSIEST)  # a stage is busy 1/PP of a pass
        left = (1.0 - busy) / decode
        steps = left + self.scheduler.mixes * busy / mixed
        return mixed, tokens, 1.0 / (steps * request.accepted), busy, decode

    def closed(self, population: Number) -> Steady:
        """N requests in flight, each replaced when it ends: the rate X at which X R(X) = N, R = TTFT + (O-1) TPOT.

        X R(X) grows with X, so the root is bracketed between next to nothing, where requests meet nobody, and what
        neither an idle server nor prefill in full chunks can exceed; and found by false position on logarithms. An end
        that stays loses weight by how far the last guess fell short (Anderson and Björck, BIT 13, 1973). Where even
        the fastest prefill leaves requests over, they wait for it.
        """
        n = self.n
        crowd = self._crowd(population)
        active = crowd.active
        idle, high = self._fastest(active)
        at_high = n.maximum(n.log(high * self._at_rate(high, crowd)[0] / active), 1e-9)
        low, high, at_low = n.log(high) + _LOWEST, n.log(high), n.log(high / idle) + _LOWEST
        guess, last, done = low, 0.0, False
        for _ in range(_ITERATIONS):
            n.pause()
            guess = n.where(done, guess, (low * at_high - high * at_low) / (at_high - at_low))
            rate = n.exp(guess)
            state = self._at_rate(rate, crowd)
            found = n.log(rate * state[0] / active)
            above = found > 0.0
            side = n.where(above, 1.0, -1.0)
            kept = n.maximum(1.0 - found / n.where(above, at_high, at_low), _LEAST_KEPT)
            kept, last = n.where(side == last, kept, 1.0), side
            at_low, at_high = (
                n.where(above, kept * at_low, n.minimum(found, -1e-12)),
                n.where(above, n.maximum(found, 1e-12), kept * at_high),
            )
            low, high = n.where(above, low, guess), n.where(above, guess, high)
            done = done | n.settled(found, high - low)  # each stays where one solved alone would have stopped
            if n.all(done):
                break
        # A prompt shares its steps or does not: where X R(X) jumps past N, fewer are under way, and the rest wait.
        jumped = found > _MISSED
        if n.any(jumped):
            rate = n.where(jumped, n.exp(low), rate)
            state = self._at_rate(rate, crowd)
        return self._closed(rate, state, population, active)

    def closed_near(self, population: Number, rate: Number) -> Steady:
        """`closed` by one secant step from a rate next to the root, as where an input moved a little."""
        n = self.n
        crowd = self._crowd(population)
        active = crowd.active
        here = n.log(rate * self._at_rate(rate, crowd)[0] / active)
        up = n.log(1.01 * rate * self._at_rate(1.01 * rate, crowd)[0] / active)
        step = -here * n.log(1.01) / n.maximum(up - here, 1e-4)
        rate = n.minimum(self._fastest(active)[1], rate * n.exp(n.maximum(-0.1, n.minimum(step, 0.1))))
        return self._closed(rate, self._at_rate(rate, crowd), population, active)

    def _closed(self, rate: Number, state: tuple[Number, ...], population: Number, active: Number) -> Steady:
        n = self.n
        residence, ttft, tpot, queue, own, running, mixed, tokens, busy, decode, ramp = state
        over = n.maximum(active / rate - residence, 0.0)
        waiting = over + n.maximum(population - active, 0.0) / rate
        return self._steady(rate, ttft + waiting, tpot, queue, waiting, own, running, mixed, tokens, busy, decode, ramp)

    def _fastest(self, active: Number) -> tuple[Number, Number]:
        """(requests per second of an idle server, what neither it nor prefill in full chunks can exceed)"""
        n, request = self.n, self.request
        idle = active / (self.prefill_alone + self.front() + self.output / request.accepted * self.decode(1.0))
        chunk = n.minimum(self.scheduler.chunk, active * request.prompt)
        # Where every step carries a full chunk, a request stays for as many steps as it has tokens, and no more run
        # than came in those; the rest wait for their prompts.
        decoding = n.minimum(active, self.output / request.accepted * chunk * self.shard.stages / request.prompt)
        full = self.mixed(decoding, chunk) * request.prompt / (chunk * self.shard.stages)
        return idle, n.minimum(idle, _BUSIEST / full)

    def _crowd(self, population: Number) -> _Crowd:
        n, request = self.n, self.request
        active = n.minimum(population, self.scheduler.running)
        ahead = 0.5 * (active - 1.0)
        return _Crowd(
            active=active,
            others=(active - 1.0) / active,
            stay=self.output / request.accepted * self.decode(active),
            ahead=ahead,
            # Requests of one length that start together end together and come again together, however little prompts
            # take.
            train=request.alike * (self.rates.training * n.log(active) + _RAMP * ahead),
        )

    def _at_rate(self, rate: Number, crowd: _Crowd) -> tuple[Number, ...]:
        """(seconds from arrival to end, and what they are made of) at a rate."""
        n, output, active, others = self.n, self.output, crowd.active, crowd.others
        running = n.minimum(active, rate * crowd.stay)
        mixed, tokens, tpot, busy, decode = self._interference(rate, others, running, self.rates.queueing)
        running = n.minimum(active, n.maximum(rate * output * tpot, 1e-9))
        met = running * others
        own = self._own_prefill(met, mixed, tokens)
        service = mixed * self.staged_prompt / tokens  # of one prompt, when prompts share a step
        share = self.rates.queueing * rate * others * service  # prefill busy share while arrivals bunch
        burst = crowd.ahead * service  # all but one ahead, half of them on average
        under_way = 0.5 * mixed * n.minimum(share, 1.0)
        backlog = burst * n.maximum(1.0 - 1.0 / n.maximum(share, 1.0), _RAMP)
        queue = n.maximum(under_way + backlog, crowd.train * service)
        residual = 0.5 * self.scheduler.poll * decode * n.minimum(met, 1.0)
        ttft = own + queue + residual + self.front()
        return ttft + output * tpot, ttft, tpot, queue, own, running, mixed, tokens, busy, decode, _RAMP * burst

    def _own_prefill(self, running: Number, mixed: Number, tokens: Number) -> Number:
        """A request's own prompt, chunk by chunk, in steps it may share with running requests."""
        alone = self.prefill_alone
        shared = self.own_chunks * mixed
        return self.n.where(running > 0.5, self.n.maximum(alone, shared), alone)

    def _steady(
        self, rate: Number, ttft: Number, tpot: Number, queue: Number, waiting: Number, own: Number, running: Number,
        mixed: Number, tokens: Number, busy: Number, decode: Number, ramp: Number, swing: Number = 0.0,
    ) -> Steady:  # fmt: skip
        carried = busy / mixed
        share = carried / (carried + (1.0 - busy) / decode)
        return Steady(
            ttft=ttft, tpot=tpot, e2e=ttft + self.output * tpot, requests_per_s=rate, running=running,
            decode_step=decode, mixed_step=mixed, mixed_share=share, queue=queue, waiting=waiting, own=own,
            chunk=tokens, ramp=ramp, busy=busy, mixes=self.scheduler.mixes, swing=swing,
        )  # fmt: skip

    def arrivals(self, rate: Number) -> Steady:
        """Poisson arrivals at a rate the replica can serve: the same steps, and a queue of prompts before them."""
        n, request, output = self.n, self.request, self.output
        running = n.minimum(rate * output / request.accepted * self.decode(1.0), self.scheduler.running)
        done = False
        for _ in range(_ITERATIONS):
            n.pause()
            mixed, tokens, tpot, busy, decode = self._interference(rate, 1.0, running, 1.0)
            new = n.minimum(rate * output * tpot, self.scheduler.running)
            done = done | n.converged(new + 1.0, running + 1.0)
            if n.all(done):
                break
            running = n.where(done, running, (n.maximum(running, 1e-9) * n.maximum(new, 1e-9)) ** 0.5)
        service = mixed * self.staged_prompt / tokens
        utilisation = n.minimum(rate * service, _BUSIEST)
        queue = utilisation * service / (2.0 * (1.0 - utilisation))
        own = self._own_prefill(running, mixed, tokens)
        residual = 0.5 * self.scheduler.poll * decode * n.minimum(running, 1.0)
        ttft = own + queue + residual + self.front()
        return self._steady(
            rate, ttft, tpot, queue, 0.0 * queue, own, running, mixed, tokens, busy, decode, 0.0 * queue,
            self._swing(rate, running, tpot),
        )  # fmt: skip

    def _swing(self, rate: Number, running: Number, tpot: Number) -> Number:
        """Relative standard deviation of TPOT from how many requests a request meets, under Poisson arrivals.

        A replica is a shared processor: whatever the lengths, the chance of n running falls by rate x stay(n) / n, so
        their variance is N / (1 - e), e = d log TPOT / d log N; TPOT varies by e of it. A stay sees the mean of a
        number that forgets at 1 - e of its own pace: that leaves 2 (x - 1 + exp(-x)) / x^2 of the variance, x = 1 - e.
        20 running and e = 0.1: 0.1 / sqrt(20 x 0.9) x sqrt(0.76) = 2.1 %.
        """
        n = self.n
        more = self._interference(rate, 1.0, running * _MORE, 1.0)[2]
        elasticity = n.minimum(0.95, n.maximum(0.0, n.log(more / tpot) / n.log(_MORE)))
        kept = 1.0 - elasticity
        seen = 2.0 * (kept - 1.0 + n.exp(-kept)) / (kept * kept)
        return elasticity * n.sqrt(seen / (n.maximum(running, 1.0) * kept))

    def batch(self, size: Number) -> Steady:
        """`size` requests started together and run to the end, in as many waves as the KV cache needs.

        e2e = waves x (prefill of all prompts of a wave + (O - 1) decode steps at the wave's size).
        """
        n, request = self.n, self.request
        waves = n.ceil(size / self.scheduler.running - 1e-9)
        members = size / waves
        tokens = members * request.prompt
        chunks = n.ceil(tokens / self.scheduler.chunk - 1e-9)
        chunk = tokens / chunks
        step = self.mixed(0.0, chunk)
        overlap = (chunks + self.shard.stages - 1.0) / self.shard.stages
        prefill = overlap * step + self.front()
        decode = self.decode(members)
        tpot = decode / request.accepted
        e2e = waves * (prefill + self.output * tpot)
        zero = 0.0 * step
        return Steady(
            ttft=prefill, tpot=tpot, e2e=e2e, requests_per_s=size / e2e, running=members, decode_step=decode,
            mixed_step=step, mixed_share=zero, queue=0.5 * prefill, waiting=zero, own=step, chunk=chunk, ramp=zero,
        )  # fmt: skip

    def full(self, near: Number = None) -> Steady:
        """As many requests as the engine runs, always replaced; `near`: the rate of a case next to this one."""
        running = self.scheduler.running
        return self.closed(running) if near is None else self.closed_near(running, near)

    def kept(self, requests: Number = UNENDING) -> Number:
        """Share of the steady rate that a run of so many requests, all queued at once, keeps.

        While its last requests end, fewer and fewer run: it takes as long as `ending` x the number running more
        requests would at the steady rate, on average over runs of one length and of many. 1,500 requests, 1,000
        running, ending 0.2: 1 / 1.13 of what `filling` leaves.
        """
        return self.rates.filling / (1.0 + self.rates.ending * self.n.minimum(1.0, self.scheduler.running / requests))

    def maximum(self, near: Number = None, requests: Number = UNENDING) -> Steady:
        """The same as an offline run of so many requests shows it, which keeps a share of that rate."""
        state, kept = self.full(near), self.kept(requests)
        rate = state.requests_per_s * kept
        stretch = 1.0 / kept
        return Steady(
            ttft=state.ttft * stretch, tpot=state.tpot * stretch, e2e=state.e2e * stretch, requests_per_s=rate,
            running=state.running, decode_step=state.decode_step, mixed_step=state.mixed_step,
            mixed_share=state.mixed_share, queue=state.queue, waiting=state.waiting, own=state.own, chunk=state.chunk,
            ramp=state.ramp, busy=state.busy, mixes=state.mixes,
        )  # fmt: skip
