"""The start and the end of Connect, seen from the browser (R28)."""

from __future__ import annotations

import pytest

from shared.errors import BadInput, PersonMustAct, TryLater
from tests.web.world import World, a_ready_world

BACK = "/OAuth/IntegrationCallback.aspx"


def begin(world: World) -> tuple[str, str]:
    """The cookie's name=value, and all its attributes."""
    answer = world.call("POST", "/api/connections/contoso/connect")
    assert answer.status == 200
    assert answer.body == {"authorizeUrl": "https://login.example/authorize?state=s1"}
    cookie, _, attributes = answer.headers["Set-Cookie"].partition("; ")
    return cookie, attributes


def test_the_start_sets_a_short_lived_lax_cookie_for_this_flow_alone() -> None:
    _, attributes = begin(a_ready_world())

    assert attributes == "Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"


def test_the_callback_is_anonymous_and_hands_the_flows_own_cookie_on() -> None:
    world = a_ready_world()
    cookie, _ = begin(world)

    answer = world.call(
        "GET", f"{BACK}?code=c&state=s1", token=None, headers={"Cookie": f"other=1; {cookie}"}
    )

    assert answer.status == 200
    assert "contoso.example is connected" in answer.body
    assert world.connect.finished == [("the-cookie", {"code": "c", "state": "s1"})]
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_cookie_of_another_flow_is_not_handed_on() -> None:
    world = a_ready_world()
    cookie, _ = begin(world)

    world.call("GET", f"{BACK}?code=c&state=s2", token=None, headers={"Cookie": cookie})

    assert [given for given, _ in world.connect.finished] == [""]


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (BadInput(400, "This sign-in was used already."), 400, "used already"),
        (PersonMustAct("Declined.", "Press <Connect>.", code="x"), 400, "Press &lt;Connect&gt;."),
        (TryLater("Microsoft does not answer."), 503, "again in a few minutes"),
    ],
    ids=["state", "declined", "passing"],
)
def test_a_sign_in_that_did_not_work_is_told_on_the_page(
    error: Exception, status: int, words: str
) -> None:
    world = a_ready_world()
    world.connect.ends = error

    answer = world.call("GET", f"{BACK}?error=access_denied&state=s1", token=None)

    assert answer.status == status
    assert words in answer.body


def test_the_page_after_the_sign_in_leads_back_to_the_connection_in_the_console() -> None:
    world = a_ready_world()
    cookie, _ = begin(world)

    answer = world.call("GET", f"{BACK}?code=c&state=s1", token=None, headers={"Cookie": cookie})

    assert 'href="/console/connections/contoso"' in answer.body
    assert "style-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]

    world.connect.ends = BadInput(400, "This sign-in was used already.")
    refused = world.call("GET", f"{BACK}?code=c&state=s1", token=None)
    assert 'href="/console/connections"' in refused.body
    assert "contoso" not in refused.body
