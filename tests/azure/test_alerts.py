"""Alerts and charts speak of metrics that the app has, and each alert is explained (R30)."""

from __future__ import annotations

import json
import re

import pytest

from infra.checks.bicep import FOLDER
from infra.checks.bicep_source import read_all
from infra.local.process import REPOSITORY

MEASURES = (REPOSITORY / "shared" / "measures.py").read_text(encoding="utf-8")
METRICS = set(re.findall(r'"(sync\.[a-z0-9.]+)"', MEASURES))
ALERTS = read_all(FOLDER)["alerts.bicep"].tree["variables"]["alerts"]["value"]
WORKBOOK = json.loads((FOLDER / "workbook.json").read_text(encoding="utf-8"))
OPERATE = REPOSITORY / "docs" / "operate.md"


def named(query: str) -> set[str]:
    return set(re.findall(r"'(sync\.[a-z0-9.]+[a-z0-9])'", query))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["name"])
def test_an_alert_asks_for_metrics_that_there_are(alert: dict[str, str]) -> None:
    assert named(alert["query"]) or "startswith 'sync.'" in alert["query"]
    assert named(alert["query"]) <= METRICS


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["name"])
def test_an_alert_has_its_chapter_in_the_operators_page(alert: dict[str, str]) -> None:
    assert f"### {alert['name']}" in OPERATE.read_text(encoding="utf-8")


def test_the_four_things_that_must_not_go_unseen_have_an_alert_r30() -> None:
    asked = {name for alert in ALERTS for name in named(alert["query"])}
    assert asked >= {
        "sync.backlog",
        "sync.failures.waiting",
        "sync.sweep.age.seconds",
        "sync.freshness.p95.seconds",
        "sync.credential.days.left",
    }


def test_the_workbook_shows_every_metric() -> None:
    queries = [item["content"].get("query", "") for item in WORKBOOK["items"]]
    assert {name for query in queries for name in named(query)} == METRICS
