"""What strangers hand us beside links, and what names of theirs come to in files: kept plans, steps of a task, models
called after commands, paths a page is served under. Nothing odd raises, and nothing of it acts where it is read."""

from __future__ import annotations

import csv
import io
import shlex
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import pytest
import yaml
from starlette.types import Receive, Scope, Send

from app.__main__ import main
from app.base_path import UnderBasePath
from app.documents import read_yaml
from app.exploring.deployment import deployment
from app.exploring.kept_plan import check, kept_text, read_kept
from app.exploring.pipeline import TaskLoad, price_pipeline
from app.exploring.pipeline_steps import EXAMPLES, parse_steps
from app.exploring.pipeline_words import pipeline_finding
from app.exploring.report_page import plans_csv, report_html
from app.exploring.start import launch_of
from app.planning.plan import Plan
from app.planning.planner import plan
from app.scenario import Scenario, decode, with_page_defaults
from app.sources import LocalSources
from app.terminal import only_visible
from app.vocabulary import DeployTo
from estimators.architecture import catalogue
from estimators.architecture.hub.client import HubClient
from estimators.architecture.spec import ModelSpec
from estimators.provenance import Refusal
from pricing.book import Book
from tests.app.fuzzed_links import HOSTILE, MODELS, NUMBERS, scenario_link
from tests.hostile import PAYLOADS, Tags

SOURCES = LocalSources(Book(), HubClient(offline=True))
TODAY = date(2026, 11, 28)
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
OWN_TAGS = set(Tags(report_html(plan(Scenario(model=LLAMA), SOURCES), link="?x=1", today=TODAY)).names)


LENGTHS = ("1", "64", "1024", "131072", "99999999", "0")


class Renamed(LocalSources):
    """Every id is a repository that holds Llama 3.1 8B."""

    def spec(self, model: str) -> ModelSpec:
        return replace(catalogue.load_spec(LLAMA), id=model)


def mutated(text: str, draw: Random) -> bytes:
    """The file with a few lines or bytes other than they were."""
    lines = text.splitlines()
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at = draw.randrange(len(lines))
        key, colon, _ = lines[at].partition(": ")
        odd = draw.choice((*HOSTILE, *NUMBERS, *PAYLOADS, "&a [*a]", "!!python/object:os.system x", "{", "- x", "|"))
        lines[at] = draw.choice(
            (f"{key}{colon}{odd}", f"{key}{colon}{odd!r}", f"  {lines[at]}", odd, "", lines[at] * 2,
             lines[at][: draw.randrange(len(lines[at]) + 1)], lines[draw.randrange(len(lines))], "---", f"{odd}: {odd}")
        )  # fmt: skip
    whole = bytearray("\n".join(lines).encode("utf-8", "surrogatepass"))
    if draw.random() < 0.3:
        whole[draw.randrange(len(whole))] = draw.randrange(256)
    return bytes(whole)


def test_a_kept_plan_that_was_changed_is_refused_or_held_against_today() -> None:
    draw = Random(20)
    text = kept_text(plan(Scenario(model=LLAMA, concurrency=40, ttft=2.0), SOURCES), TODAY, SOURCES)
    begun, held = time.thread_time(), 0
    for _ in range(1_500):
        try:
            kept = read_kept(read_yaml(mutated(text, draw)), SOURCES)
            held += 1
            found = check(kept, SOURCES)
        except Refusal:
            continue
        assert found.verdict.isprintable()
        assert kept.decision.scenario.model == LLAMA or not found.stands
    assert held > 20  # a comment, a tolerance
    assert time.thread_time() - begun < 10


def test_the_command_ends_on_a_changed_file_with_a_code_and_with_letters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw, file = Random(26), tmp_path / "plan.yaml"
    text = kept_text(plan(Scenario(model=LLAMA, concurrency=40, ttft=2.0), SOURCES), TODAY, SOURCES)
    codes = set()
    for _ in range(40):
        file.write_bytes(mutated(text, draw))
        with only_visible():
            codes.add(main(["check", str(file)]))
        said = capsys.readouterr()
        assert all(line.isprintable() for line in (said.out + said.err).split("\n"))
        assert "Traceback" not in said.err
    assert codes <= {0, 1, 2}
    assert 2 in codes


def step_of(draw: Random) -> str:
    names = ("classify", "extract", "any", "-", "route 1", "a+b", *HOSTILE, *PAYLOADS)
    models = ("any", "8B", "Llama 3.1 8B", "gpt2", "70b", "0B", "99999T", *MODELS, *HOSTILE, *PAYLOADS)
    counts = (*NUMBERS, *NUMBERS, "3 at once", "5 at once at once", "0.2", *HOSTILE)
    words = [draw.choice(names[:3] if draw.random() < 0.6 else names), draw.choice(models)]
    words += [draw.choice(counts) for _ in range(draw.randint(2, 4))]
    words += [draw.choice(names)] if draw.random() < 0.3 else []
    return ", ".join(words)


def test_steps_of_a_task_are_read_or_refused() -> None:
    draw = Random(21)
    for _ in range(5_000):
        lines = [*draw.choice(tuple(EXAMPLES.values())).splitlines(), *(step_of(draw) for _ in range(2))]
        text = draw.choice("\n;").join(draw.sample(lines, draw.randint(1, len(lines))))
        try:
            steps = parse_steps(text)
        except Refusal:
            continue
        assert len({step.name for step in steps}) == len(steps) <= 12


def test_steps_that_can_be_read_are_priced_or_refused() -> None:
    draw, known = Random(22), [entry.id for entry in catalogue.entries()]
    base = with_page_defaults(Scenario(model=LLAMA))
    priced = 0
    for _ in range(60):
        calls, prompt, output = map(draw.choice, (("1", "7 at once", "0.2"), LENGTHS, LENGTHS))
        text = f"a, {draw.choice(MODELS)}, {calls}, {prompt}, {output}; b, 8B, 1, 512, 8"
        tasks = TaskLoad(
            tasks=draw.choice((0.001, 1e3, 1e9)),
            peak=draw.choice((1.0, 100.0)),
            week=draw.choice(("always", "8-18x5@20", "x")),
        )
        try:
            found = pipeline_finding(price_pipeline(parse_steps(text), tasks, base, SOURCES, known))
        except Refusal:
            continue
        assert "nan" not in found.sentence
        priced += 1
    assert priced > 3


def hostile_scenarios(draw: Random) -> list[Scenario]:
    """Plans with names in them that want to be more: those of them that a link lets through."""
    ids = (
        "a/b", "a/$(reboot)", "a/b;reboot", "a/b'c", "a/${x}", "a/%{if}", "a/b`c`", "-a/-b", "a/--help", "a/b.c_d-e",
        "EOT", "a/EOT", "1/0x10", "a/null", "yes", "a/~", "a/b@main", "a/b@$(x)", "a/b@${x}", "a/b@v1'",
        "a/b@refs/pr/1", *PAYLOADS,
    )  # fmt: skip
    versions = ("", "", "0.11.0", "0.11.0\n", "0.11.0'", "$(x)", "latest", "9999.9", *HOSTILE)
    return [
        decode(
            {
                "model": model,
                "engine_version": draw.choice(versions),
                "instance": draw.choice(("g6.xlarge", "", "p5.48xlarge")),
            }
        ).scenario
        for model in ids
        for _ in range(3)
    ]


@pytest.fixture(scope="module")
def hostile_plans() -> list[Plan]:
    sources = Renamed(Book(), HubClient(offline=True))
    return [plan(scenario, sources) for scenario in hostile_scenarios(Random(23))]


@pytest.mark.parametrize("to", DeployTo)
def test_files_that_start_a_plan_hold_names_as_words(hostile_plans: list[Plan], to: DeployTo) -> None:
    made = 0
    for found in hostile_plans:
        try:
            text = deployment(found, to).text
        except Refusal:
            continue
        made += 1
        assert all(line.isprintable() for line in text.splitlines())
        words = shlex.split(launch_of(found).command)
        model = str(found.asked.model).partition("@")[0]
        assert words[:3] == ["vllm", "serve", model]
        if to is DeployTo.TERRAFORM:
            (run,) = [line for line in text.splitlines() if "docker run" in line]
            assert shlex.split(run)[-len(words) - 3 : -4] == ["serve", *words[2:]][: len(words) - 1]
            assert text.count("EOT\n") == 2
            own = "${var.hf_token_parameter}"
            assert "${" not in text.replace("$${", "").replace(own, "")
            assert "%{" not in text.replace("%%{", "")
            continue
        for document in yaml.safe_load_all(text):
            assert set(document) <= {"apiVersion", "kind", "metadata", "spec", "services", "volumes"}
            assert all(name.replace("-", "").isalnum() for name in [document.get("metadata", {}).get("name", "a")])
    assert made > 20


def test_reports_and_tables_of_hostile_plans_hold_words(hostile_plans: list[Plan]) -> None:
    draw = Random(24)
    links = [decode(scenario_link(draw)).scenario for _ in range(60)]
    for found in (*hostile_plans, *(plan(with_page_defaults(scenario), SOURCES) for scenario in links)):
        page = Tags(report_html(found, link="?x=1", today=TODAY))
        assert set(page.names) <= OWN_TAGS | {
            "b",
            "ul",
            "li",
            "p",
            "table",
            "tr",
            "td",
            "th",
            "h2",
            "details",
            "summary",
        }
        assert not page.addresses
        cells = [cell for row in csv.reader(io.StringIO(plans_csv([found]))) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


def test_only_the_api_of_the_path_we_are_served_under_loses_it() -> None:
    draw = Random(25)
    parts = (
        "tools",
        "sizes",
        "api",
        "v1",
        "..",
        ".",
        "",
        "%2e%2e",
        "é",
        "a b",
        "x" * 200,
        "\x00",
        "api%2fv1",
        "\\",
        ";",
    )
    came: list[str] = []

    async def told(scope: Scope, _receive: Receive, _send: Send) -> None:
        came.append(scope["path"])

    for _ in range(3_000):
        base = "/".join(draw.choice(parts[:4]) for _ in range(draw.randint(0, 3)))
        path = "/" + "/".join(draw.choice(parts) for _ in range(draw.randint(0, 5)))
        path = draw.choice((path, f"/{base}{path}", f"/{base}/api{path}"))
        set_to = draw.choice((base, f"/{base}/", f"{base}/"))
        asked = {"type": draw.choice(("http", "http", "websocket")), "path": path, "raw_path": path.encode()}
        run = UnderBasePath(told, base=lambda set_to=set_to: set_to)(dict(asked), None, None)  # type: ignore
        with pytest.raises(StopIteration):  # nothing in it waits
            run.send(None)
        ours = base and asked["type"] == "http" and path.startswith(f"/{base}/api/")
        assert came.pop() == (path[len(base) + 1 :] if ours else path)
