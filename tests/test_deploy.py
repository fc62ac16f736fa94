"""What the folder deploy hands to whoever runs the dashboard: the compose file parsed, the chart as Helm renders it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from app.public import __version__
from app.storage import database_url
from tests.conftest import ROOT

CHART = ROOT / "deploy" / "chart"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SEVERAL = {
    "replicas": 2,
    "databaseSecret": "db",
    "hosts": "sizes.example.com",
    "environment": {"RIGHTSIZE_LIVE_PRICES": "0"},
    "environmentSecrets": ["aws"],
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/prices"}},
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tls"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"operator": "Exists"}],
}


@pytest.fixture
def chart() -> Iterator[Any]:
    helm = pytest.importorskip("helm_python.chart")
    with helm.Chart.load(CHART) as loaded:
        yield loaded


def rendered(chart: Any, values: dict[str, Any], name: str = "mine") -> dict[str, dict[str, Any]]:
    """The documents Helm makes of the chart, by their kind."""
    texts = [text for path, text in chart.render(values, name=name).items() if path.endswith(".yaml")]
    return {document["kind"]: document for text in texts for document in yaml.safe_load_all(text) if document}


def test_helm_finds_nothing_to_say_of_the_chart() -> None:
    helm = pytest.importorskip("helm_python.chart")
    report = helm.lint(CHART, strict=True)
    assert report["errors"] == []
    assert [found["error"] for found in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("values", [{}, SEVERAL], ids=["as it comes", "several replicas"])
def test_kubernetes_takes_what_the_chart_makes(chart: Any, values: dict[str, Any]) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    documents = rendered(chart, values)
    for document in documents.values():
        validator.validate(document, validator.latest_version(), strict=True)
    assert set(documents) == {"ServiceAccount", "Deployment", "Service"} | ({"Ingress"} if values else set())


def test_the_chart_runs_the_image_as_it_is_built(chart: Any) -> None:
    made = rendered(chart, SEVERAL)
    pod = made["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    (user,) = re.findall(r"--uid (\d+)", DOCKERFILE)
    (port,) = re.findall(r"^EXPOSE (\d+)", DOCKERFILE, re.M)
    assert pod["spec"]["securityContext"]["runAsUser"] == int(user)
    assert container["ports"] == [{"name": "http", "containerPort": int(port)}]
    assert container["image"] == f"rightsize:{__version__}"
    assert {place["mountPath"] for place in container["volumeMounts"]} == {"/data", "/tmp"}
    assert "RIGHTSIZE_DATA=/data" in DOCKERFILE
    assert made["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert made["Service"]["spec"]["sessionAffinity"] == "ClientIP"
    environment = {entry["name"]: entry for entry in container["env"]}
    assert environment["DATABASE_URL"]["valueFrom"]["secretKeyRef"] == {"name": "db", "key": "DATABASE_URL"}
    assert environment["RIGHTSIZE_HOSTS"]["value"] == "$(POD_IP) sizes.example.com"


@pytest.mark.parametrize(
    ("name", "whole"), [("rightsize", "rightsize"), ("mine", "mine-rightsize"), ("a" * 53, "a" * 53 + "-rightsize")]
)
def test_names_are_those_of_the_release(chart: Any, name: str, whole: str) -> None:
    assert rendered(chart, {}, name)["Deployment"]["metadata"]["name"] == whole


@pytest.mark.parametrize(
    ("values", "is_said"),
    [({}, False), (SEVERAL, True), (SEVERAL | {"environment": {"FORWARDED_ALLOW_IPS": "10.244.0.0/16"}}, False)],
)
def test_who_sets_up_an_ingress_is_told_to_name_it(chart: Any, values: dict[str, Any], is_said: bool) -> None:
    (notes,) = (text for path, text in chart.render(values, name="mine").items() if path.endswith("NOTES.txt"))
    assert ("FORWARDED_ALLOW_IPS" in notes) is is_said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 2}, "databaseSecret"),
        ({"replica": 2}, "replica"),
        ({"hosts": ""}, "hosts"),
        ({"environment": {"A": 1}}, "environment"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(chart: Any, values: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said):
        chart.validate_schema(values)


def test_compose_starts_the_dashboard_on_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    file = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    dashboard, database = file["services"]["dashboard"], file["services"]["database"]
    said = dashboard["environment"]["DATABASE_URL"]
    monkeypatch.setenv("DATABASE_URL", re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]*\}", "secret", said))
    url = database_url()
    assert (url.host, url.username, url.database) == ("database", "rightsize", "rightsize")
    assert (database["environment"]["POSTGRES_USER"], database["environment"]["POSTGRES_DB"]) == (
        url.username,
        url.database,
    )
    assert dashboard["environment"]["FORWARDED_ALLOW_IPS"] == "${FORWARDED_ALLOW_IPS:-127.0.0.1}"  # as without it
    assert dashboard["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert dashboard["ports"] == ["127.0.0.1:${PORT:-8501}:8501"]
    mounted = {volume.split(":")[0] for service in file["services"].values() for volume in service["volumes"]}
    assert mounted == set(file["volumes"])
    assert "data:/data" in dashboard["volumes"]


def test_every_setting_that_is_handed_on_is_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    named = {name for text in texts for name in re.findall(r"\bRIGHTSIZE_[A-Z_]+", text)}
    assert {"RIGHTSIZE_HOSTS", "RIGHTSIZE_LOGS"} <= named
    assert {name for name in named if f"`{name}" not in readme} == set()
