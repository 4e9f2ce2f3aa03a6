"""The way of a request through the table of routes."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from shared.errors import Misconfigured, PersonMustAct, Rejected, TryLater
from shared.web.router import LARGEST_BODY
from tests.web.world import World, a_ready_world


def test_an_unknown_address_is_404_as_problem_details() -> None:
    answer = World().call("GET", "/api/nothing")

    assert answer.status == 404
    assert set(answer.body) == {"type", "title", "status", "detail"}


def test_a_control_character_in_an_address_is_refused_and_never_reaches_the_tables() -> None:
    in_path = World().call("GET", "/api/connections/a%00b")
    in_query = World().call("GET", "/api/activity?connectionId=a%00b")

    assert in_path.status == 404
    assert (in_query.status, in_query.body["field"]) == (400, "connectionId")


def test_another_method_is_405_and_names_the_possible_ones() -> None:
    answer = World().call("PUT", "/api/connections", {})

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, POST"


def test_a_body_over_one_mebibyte_is_413() -> None:
    assert World().call("POST", "/api/connections", raw=b" " * (LARGEST_BODY + 1)).status == 413


def test_a_body_that_is_no_json_by_its_type_is_415() -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = World().call("POST", "/api/connections", raw=b"a=b", headers=headers)

    assert answer.status == 415
    assert "application/json" in answer.detail


@pytest.mark.parametrize("raw", [b"{", b'{"kind":"full"}x', b'{"kind":"\xff"}', b"nothing"])
def test_broken_json_is_400(raw: bytes) -> None:
    answer = a_ready_world().call("POST", "/api/connections/contoso/sync", raw=raw)

    assert answer.status == 400
    assert "JSON" in answer.detail


def test_deeply_nested_json_is_refused_like_any_other() -> None:
    raw = b'{"kind":' + b"[" * 100_000

    assert World().call("POST", "/api/connections/contoso/sync", raw=raw).status in (400, 422)


def test_a_json_array_is_refused_in_words() -> None:
    assert World().call("POST", "/api/connections", []).detail == "The body must be an object."


def test_a_missing_body_is_told_as_its_missing_members() -> None:
    answer = a_ready_world().call("POST", "/api/connections/contoso/sync")

    assert answer.status == 422
    assert answer.body["field"] == "kind"
    assert answer.detail == 'kind is missing: it must be "full" or "sweep".'


def test_a_route_without_a_body_takes_an_empty_object_and_nothing_else() -> None:
    world = a_ready_world()

    assert world.call("POST", "/api/connections/contoso/pause", {}).status == 200
    assert world.call("POST", "/api/connections/contoso/pause", {"x": 1}).status == 422


def test_an_unknown_query_parameter_is_400_and_named() -> None:
    answer = World().call("GET", "/api/connections?limt=5")

    assert answer.status == 400
    assert answer.detail == "limt is not known here; known: limit, cursor, q, synced, state, order."
    assert answer.body["field"] == "limt"


@pytest.mark.parametrize("limit", ["0", "1001", "many", ""])
def test_a_limit_outside_1_to_1000_is_400(limit: str) -> None:
    answer = World().call("GET", f"/api/connections?limit={limit}")

    assert answer.status == 400
    assert answer.detail == "limit must be a whole number from 1 to 1,000."


@pytest.mark.parametrize("cursor", ["abc", "%F0%9F%98%80", "W10", "WyJ4Il0", "bnVsbA"])
def test_a_foreign_cursor_is_400(cursor: str) -> None:
    answer = World().call("GET", f"/api/connections?cursor={cursor}")

    assert answer.status == 400
    assert answer.body["field"] == "cursor"


def test_passing_trouble_is_503_with_retry_after() -> None:
    world = a_ready_world()
    world.bms.down = TryLater("BMS does not answer.", timedelta(seconds=90))

    answer = world.call("GET", "/api/bms/accounts")

    assert (answer.status, answer.detail) == (503, "BMS does not answer.")
    assert answer.headers["Retry-After"] == "90"


def test_passing_trouble_of_unknown_length_still_says_when_to_come_back() -> None:
    world = a_ready_world()
    world.bms.down = TryLater("BMS does not answer.")

    assert int(world.call("GET", "/api/bms/accounts").headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PersonMustAct("BMS refuses the sign-in.", "Enter the password.", code="bms"), 409),
        (Rejected("BMS refuses this.", "Enter the password."), 422),
    ],
)
def test_what_a_person_must_mend_says_the_next_step(error: PersonMustAct, status: int) -> None:
    world = a_ready_world()
    world.bms.down = error

    answer = world.call("GET", "/api/bms/accounts")

    assert answer.status == status
    assert answer.body["nextStep"] == "Enter the password."


def test_a_wrong_setting_is_told_by_its_sentence() -> None:
    world = a_ready_world()
    world.bms.down = Misconfigured("KEY_VAULT_URL is wrong.")

    answer = world.call("GET", "/api/bms/accounts")

    assert (answer.status, answer.detail) == (500, "KEY_VAULT_URL is wrong.")


def test_an_unknown_error_tells_nothing_and_is_logged_by_its_id_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_ready_world()

    address = "ines" + "@contoso.example"

    def broken() -> list[object]:
        raise KeyError(address)

    monkeypatch.setattr(world.bms, "accounts", broken)

    with caplog.at_level(logging.ERROR):
        answer = world.call("GET", "/api/bms/accounts")

    assert answer.status == 500
    assert address not in str(answer.body)
    assert answer.body["errorId"] in caplog.text
    assert "KeyError" in caplog.text
    assert address not in caplog.text


def test_letter_case_of_a_route_does_not_matter_as_in_the_functions_host() -> None:
    assert World().call("GET", "/API/Connections/").status == 200


def test_every_route_has_a_summary_and_a_template_of_its_own() -> None:
    routes = World().api.routes

    assert all(route.summary for route in routes)
    assert len({(route.method, route.template) for route in routes}) == len(routes)
