"""The onboarding check as a technician reads it."""

from __future__ import annotations

from typing import Any

from shared.web.http import json_reply
from shared.web.router import Call, Route
from tests.web.console.visitor import Visitor, a_visitor
from tests.web.world import World, a_draft, a_ready_world, a_rule

PAGE = "/console/connections/contoso/check"
SCRIPT = "<script>alert(1)</script>"
NOBODY = {"withoutAddress": 0, "guestsLeftOut": 0, "blockedLeftOut": 0, "doubles": 0}
RUNNING = {"state": "running", "startedAt": None, "checkedAt": None, "verdict": None}
COUNTS = NOBODY | {
    "inScope": 1234,
    "wouldMatch": 200,
    "wouldCreate": 1034,
    "conflicts": 2,
    "linked": 0,
}


def a_finding(severity: str = "warning", **members: Any) -> dict[str, Any]:
    return {
        "severity": severity,
        "area": "doubles",
        "sentence": "2 people are not matched surely.",
        "nextStep": "Merge the double records in BMS first.",
        "count": 2,
        "people": [{"userId": "u1", "displayName": SCRIPT, "detail": "two records fit"}],
        **members,
    }


def ready(verdict: str = "look", *findings: dict[str, Any]) -> dict[str, Any]:
    return {
        "state": "ready",
        "startedAt": "2026-03-02T09:00:00Z",
        "checkedAt": "2026-03-02T09:00:00Z",
        "verdict": verdict,
        "counts": COUNTS,
        "findings": list(findings),
    }


def a_check(world: World, body: dict[str, Any], status: int = 200) -> tuple[Visitor, list[str]]:
    """A visitor for whom the check answers this, and how it was asked."""
    asked: list[str] = []

    def answer(call: Call) -> Any:
        asked.append(call.request.method)
        return json_reply(body, status)

    template = "/api/connections/{connectionId}/check"
    routes = [Route(method, template, answer, "Check") for method in ("GET", "POST")]
    return a_visitor(world, routes), asked


def test_the_page_comes_at_once_and_asks_for_the_check_by_itself() -> None:
    visitor, asked = a_check(a_ready_world(), ready())

    seen = visitor.get(PAGE)

    assert not asked
    assert f'hx-get="{PAGE}" hx-trigger="load, every 30s"' in seen.source
    assert f'href="{PAGE}?wait=no"' in seen.source  # without a script


def test_a_check_that_takes_longer_is_asked_for_again() -> None:
    visitor, _ = a_check(a_ready_world(), RUNNING | {"counts": None, "findings": []}, 202)

    assert 'hx-trigger="every 3s"' in visitor.part(PAGE).source


def test_the_numbers_the_findings_and_the_people_behind_them_are_shown_as_text() -> None:
    fine = a_finding("ok", sentence="Consent is given.", people=[])
    visitor, asked = a_check(a_ready_world(), ready("look", fine, a_finding()))

    seen = visitor.part(PAGE)

    assert "Ready, but look at this first" in seen.text
    assert "1 234 in scope" in seen.text
    assert "2 would wait for your choice" in seen.text
    assert "linked already" not in seen.text
    assert "What to do: Merge the double records in BMS first." in seen.text
    assert seen.text.index("not matched surely") < seen.text.index("Consent is given.")
    assert SCRIPT in seen.text
    assert SCRIPT not in seen.source
    assert 'href="/console/people/contoso/u1"' in seen.source
    assert asked == ["GET"]


def test_checking_again_asks_for_a_new_check_once() -> None:
    visitor, asked = a_check(a_ready_world(), ready())

    assert f'<form method="post" action="{PAGE}"' in visitor.part(PAGE).source
    assert visitor.post(PAGE, token="foreign").status == 403
    assert asked == ["GET"]
    answer = visitor.post(PAGE)
    assert (answer.status, answer.location) == (303, PAGE)
    assert asked == ["GET", "POST"]


def test_a_check_that_is_ready_leads_on_to_the_first_sync_and_a_blocked_one_does_not() -> None:
    world = a_ready_world()
    world.call("POST", "/api/mapping-rules", a_rule())

    visitor, _ = a_check(world, ready("ready"))
    assert 'action="/console/connections/contoso/sync"' in visitor.part(PAGE).source

    visitor, _ = a_check(world, ready("blocked", a_finding("blocker")))
    seen = visitor.part(PAGE)
    assert 'action="/console/connections/contoso/sync"' not in seen.source
    assert "Something stands in the way" in seen.text


def test_a_check_of_a_draft_leads_to_connect() -> None:
    world = a_ready_world()
    world.add(a_draft())

    visitor, _ = a_check(world, ready("blocked", a_finding("blocker")))

    assert 'action="/console/connections/contoso/connect"' in visitor.part(PAGE).source
