"""What would change a decision, in sentences and rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp

from app.exploring.finding import PageFinding
from app.exploring.flips import FARTHEST, Decided, Outlook
from app.exploring.likelihood import Likelihood
from app.exploring.outward import STEPS, Flip
from app.format import seconds, significant
from app.planning.contenders import PlanKey
from app.planning.ground import NEARLY
from app.planning.plan import Candidate
from app.planning.sentences import model_name, option_name
from app.planning.words import precision_of
from app.scenario import Scenario
from estimators.latency.estimate import TIMES
from estimators.latency.intervals import Spread

TOLD = 3  # of the assumptions, in the sentence
NO_PLAN = "no plan meets every limit"
_UNITS = {"rate": "requests a second", "concurrency": "requests at a time", "hours": "hours a month"}
_GROWS = {
    "rate": "traffic {rises} to",
    "concurrency": "traffic {rises} to",
    "prompt": "prompts {grow} to",
    "output": "answers {grow} to",
    "hours": "it runs",
    "quality": "the bar {rises} to",
}
_WORDS = {"rises": ("falls", "rises"), "grow": ("shrink", "grow")}


def turning_sentence(found: Decided) -> str:
    """The plan, and the three assumptions nearest to changing it."""
    plan = plan_name(found.chosen)
    told = [outlook for outlook in found.by_nearness if outlook.key != "rival_price"][:TOLD]
    if not told:
        return f"{plan} stays first whatever is moved, as far as was looked: {_farthest()}."
    return f"{plan} stays first until {_listed([_turn(found, o, o.nearest) for o in told if o.nearest])}."


def likely_sentence(found: Decided, likely: Likelihood | None) -> str:
    """How likely the plan is the cheapest; nothing where that was not worked out."""
    if likely is None:
        return ""
    if likely.plans == 1:
        return "No other plan meets every limit, whatever the speeds turn out to be."
    if not likely.metric and not likely.traffic_percent:
        return "No speed enters into it: memory alone decides how many machines each plan takes."
    low, high = (f"{100 * share:.0f}" for share in likely.between)
    share = f"{low} %" if low == high else f"{low} to {high} %"
    beaten = f"; else it is most often {key_name(found, likely.beaten_by[0][0])}" if likely.beaten_by else ""
    off = f" and traffic within {likely.traffic_percent:g} % of what is asked" if likely.traffic_percent else ""
    given = "the ranges of all speeds" if likely.metric else "the speeds as estimated"
    return f"Given {given}{off} it is the cheapest in {share} of cases{beaten}."


def plan_name(candidate: Candidate) -> str:
    """ "Llama 3.1 8B in INT8 on g6.xlarge"."""
    return f"{model_name(candidate.scenario)} in {precision_of(candidate)} on {candidate.label}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def key_name(found: Decided, key: PlanKey) -> str:
    """A plan by its machine, and by its model, region and payment where these are others than the chosen plan's."""
    model = "" if key.model == found.key.model else f"{model_name(_named(key.model))} on "
    place = f" in {key.region}" if key.region != found.key.region and key.region else ""
    paid = f", {option_name(key.option)}" if key.option not in (None, found.key.option) else ""
    return f"{model}{key.machine}{place}{paid}"


def _named(model: str) -> Scenario:
    return Scenario(model=model) if "/" in model else Scenario(params=float(model.rstrip("B").partition("B-A")[0]))


def _other(found: Decided, to: Candidate | None) -> str:
    """What comes first instead, by what is other than the chosen plan's."""
    if to is None:
        return NO_PLAN
    chosen = found.chosen
    same_model = to.model == chosen.model
    same_weights = same_model and precision_of(to) == precision_of(chosen)
    who = "" if same_weights else precision_of(to) if same_model else f"{model_name(to.scenario)} in {precision_of(to)}"
    place, paid = to.scenario.region, to.scenario.buy
    where = f" in {place}" if to.offer and chosen.offer and place != chosen.scenario.region else ""
    how = f", {option_name(paid)}" if to.offer and chosen.offer and paid is not chosen.scenario.buy else ""
    copies = f"{to.instances} x " if to.instances > 1 else ""
    machine = f"{copies}{to.label}{where}{how}"
    if to.label == chosen.label and not where and not how:
        return who or machine
    return f"{who} on {machine}" if who else machine


def _turn(found: Decided, outlook: Outlook, flip: Flip) -> str:
    """ "prompts grow to 2,940 tokens (+187 %; then g6e.xlarge)"."""
    up = flip.value > outlook.now
    value = value_text(outlook, flip.value)
    then = f"then {_other(found, flip.to)}"
    change = _change(outlook, flip)
    if outlook.key == "price":
        return f"{outlook.name} costs {value} ({change}; {then})"
    if outlook.key == "speed":
        return f"every {outlook.name} takes {value} as long as estimated ({then})"
    if outlook.key in TIMES:
        return f"the limit on {TIMES[outlook.key].lower()} is {value} ({change}; {then})"
    words = _GROWS[outlook.key].format(**{word: forms[up] for word, forms in _WORDS.items()})
    return f"{words} {value} ({change}; {then})"


def _change(outlook: Outlook, flip: Flip) -> str:
    if outlook.key == "quality":
        return f"{100 * (flip.value - outlook.now):+.1f} points"
    share = 100 * (flip.value / outlook.now - 1)
    return f"{share:+.1f} %" if abs(share) < 9.95 else f"{share:+.0f} %"


def value_text(outlook: Outlook, value: float, *, unit: bool = True) -> str:
    """A value as precise as it was looked for, with its unit or bare."""
    if outlook.key in ("price", "rival_price"):
        return f"${significant(value, 4)}{' an hour' if unit else ''}"
    if outlook.key == "speed":
        return f"{value:g}{' times' if unit else ''}"
    if outlook.key == "quality":
        return f"{100 * value:.1f} %"
    if outlook.key in TIMES:
        return seconds(value)
    plain = f"{value:,.0f}" if value == round(value) else f"{float(f'{value:.3g}'):,g}"
    return f"{plain} {_UNITS.get(outlook.key, 'tokens')}" if unit else plain


def name_text(found: Decided, outlook: Outlook) -> str:
    """What the assumption is called in a row and beside its bar."""
    if outlook.key == "price":
        return f"Price of {outlook.name}"
    if outlook.key == "rival_price":
        return f"Price of {outlook.name}, the runner-up"
    if outlook.key == "speed":
        return f"Times on {outlook.name}, over the estimate"
    if outlook.key == "quality" and found.question.bar is not None:
        return f"Quality bar, of {model_name(Scenario(model=found.question.bar.reference))}"
    return f"{TIMES[outlook.key]}, limit" if outlook.key in TIMES else outlook.name


def finding_of(found: Decided, likely: Likelihood | None) -> PageFinding:
    """The whole answer as the page, the terminal and the report show it."""
    return PageFinding(
        title="What would change this decision",
        sentence=f"{turning_sentence(found)} {likely_sentence(found, likely)}".strip(),
        heads=("Assumption", "Now", "Flips below", "To", "Flips above", "Then to", "Looked at"),
        rows=tuple(_row(found, outlook, likely) for outlook in found.outlooks),
        notes=tuple(_notes(found, likely)),
    )


def _row(found: Decided, outlook: Outlook, likely: Likelihood | None) -> tuple[str, ...]:
    cells = [
        ("no flip" if looked else "", "") if flip is None
        else (f"{value_text(outlook, flip.value, unit=False)} ({_change(outlook, flip)})", _other(found, flip.to))
        for flip, looked in ((outlook.down, outlook.low < outlook.now), (outlook.up, outlook.high > outlook.now))
    ]  # fmt: skip
    now = value_text(outlook, outlook.now)
    if outlook.key == "speed" and likely is not None and likely.spread is not None:
        now = f"{now} (80 % range {' to '.join(f'{end:.2f}' for end in _ends(likely.spread))})"
    ends = (value_text(outlook, end, unit=False) for end in (outlook.low, outlook.high))
    return name_text(found, outlook), now, *cells[0], *cells[1], " to ".join(ends)


def _ends(spread: Spread) -> tuple[float, float]:
    """The interval of a time over its estimate."""
    return exp(min(0.0, spread.low)), exp(max(0.0, spread.high))


def _farthest() -> str:
    return f"a quarter to {FARTHEST:g} times each value, a quality bar by {100 * NEARLY:.0f} points"


def _notes(found: Decided, likely: Likelihood | None) -> Iterator[str]:
    if found.stopped:
        yield f"Not everything was looked at: {found.stopped}"
    yield (
        "Each is moved alone and the planner asked again; at the value shown another plan comes first, at the next "
        f"number on this side the plan still does. Looked at from {_farthest()}, in steps of "
        f"{100 * (FARTHEST ** (1 / STEPS) - 1):.0f} % and then finer: what comes and goes within a step is not seen."
    )
    yield (
        "Another plan is another model, precision, machine, region or way to pay; how many machines it takes, and how "
        "the model is laid over them, follows the load."
    )
    keys = {outlook.key for outlook in found.outlooks}
    if "hours" not in keys and not found.stopped:
        yield "Hours change every plan's cost alike, so they flip nothing."
    if "price" not in keys and not found.stopped:
        yield "The machines of the plan cost nothing by the hour, so there is no price to move."
    if "speed" in keys:
        yield (
            "Slower by a factor, a plan meets the load as it would now meet that many times the traffic within limits "
            "that many times as tight; all plans on the accelerator are taken to be as slow, all others as estimated."
        )
    if likely is not None and likely.metric:
        yield from _about_likelihood(likely)


def _about_likelihood(likely: Likelihood) -> Iterator[str]:
    if likely.spread is not None:
        low, high = _ends(likely.spread)
        yield (
            f"80 of 100 measurements of {TIMES[likely.metric].lower()} that the fit had not seen were {low:.2f} to "
            f"{high:.2f} times the estimate ({likely.spread.rows:,} rows). Every plan's speed is drawn from its own "
            "such range, one factor for its limits and for how much it serves, which errs towards unsure."
        )
    yield (
        f"The cheapest in {100 * likely.apart:.0f} % of the cases if accelerators err independently, in "
        f"{100 * likely.together:.0f} % if all err alike; which it is nobody has measured. Plans on one accelerator "
        f"are taken to err alike. {likely.plans:,} plans could be the cheapest somewhere in the ranges."
    )
    if likely.none > 0:
        yield f"In {100 * likely.none:.0f} % of the cases no plan meets every limit."


def flips_as_json(found: Decided, likely: Likelihood | None) -> dict[str, object]:
    """The same for a program: values in the vocabulary's units, unrounded but for how closely they were looked for."""
    return {
        "verdict": turning_sentence(found),
        "plan": _plan_json(found.chosen),
        "flips": [
            {
                "key": outlook.key,
                "name": name_text(found, outlook),
                "now": outlook.now,
                "low": outlook.low,
                "high": outlook.high,
                "down": _flip_json(outlook.down),
                "up": _flip_json(outlook.up),
            }
            for outlook in found.outlooks
        ],
        "cheapest_in": None if likely is None else {"apart": likely.apart, "together": likely.together},
        "notes": list(_notes(found, likely)),
    }


def _flip_json(flip: Flip | None) -> dict[str, object] | None:
    if flip is None:
        return None
    return {"value": flip.value, "before": flip.before, "to": None if flip.to is None else _plan_json(flip.to)}


def _plan_json(candidate: Candidate) -> dict[str, object]:
    """What one decides on, and what it then takes."""
    asked, usd = candidate.scenario, candidate.usd_per_month
    return {
        "model": candidate.model,
        "weights": asked.weights.value,
        "machine": candidate.label,
        "region": asked.region,
        "buy": asked.buy.value,
        "instances": candidate.instances,
        "usd_per_month": None if usd is None else float(usd),
    }
