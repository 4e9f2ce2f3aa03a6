"""Hourly limits, faults, counters and logs of the BMS stand-in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from infra.local.bms.control import ControlRefused
from infra.local.bms.control_values import AccountState
from infra.local.bms.faults import Kind
from infra.local.bms.process import BmsProcess, start_bms
from tests.local.bms_wire import Wire

ANY = "/v2/hr/assignees/count"
CREATE = "POST /v2/crm/contacts/summary"


@pytest.fixture(scope="module")
def running() -> Iterator[BmsProcess]:
    with start_bms() as process:
        yield process


@pytest.fixture
def wire(running: BmsProcess) -> Wire:
    running.control.reset()
    return Wire(running)


@pytest.fixture
def account(wire: Wire) -> AccountState:
    return wire.customer()


def post(wire: Wire, account: AccountState, timeout: float = 20) -> requests.Response:
    return wire.session.post(
        f"{wire.url}/v2/crm/contacts/summary", json=wire.new_contact(account), timeout=timeout
    )


# The hourly limit


def test_the_limit_counts_a_route_template_not_an_address(wire: Wire) -> None:
    wire.control.set_switches(rate_limit=2)

    statuses = [wire.call("GET", f"/v2/crm/contacts/summary/{n}").status for n in (1, 2, 3)]

    assert statuses == [404, 404, 429]
    assert wire.call("GET", "/v2/crm/contacts/summary").status == 200
    usage = wire.control.usage()["GET /v2/crm/contacts/summary/{id}"]
    assert usage == {"used": 2, "limit": 2, "refused": 1}


def test_the_window_slides(wire: Wire) -> None:
    wire.control.set_switches(rate_limit=2)
    wire.call("GET", ANY)
    wire.control.move_clock(1800)
    wire.sign_in()
    wire.call("GET", ANY)

    refused = wire.call("GET", ANY)
    wire.control.move_clock(1801)
    wire.control.set_switches(rate_limits={"POST /v2/security/authenticate": 9})
    wire.sign_in()

    assert refused.status == 429
    assert 1790 <= int(refused.headers["Retry-After"]) <= 1800
    assert [wire.call("GET", ANY).status for _ in range(2)] == [200, 429]


def test_the_limit_is_1500_an_hour_by_default(wire: Wire) -> None:
    wire.call("GET", ANY)

    assert wire.control.usage()[f"GET {ANY}"]["limit"] == 1500
    assert wire.control.switches()["rate_window_seconds"] == 3600


def test_window_and_single_routes_can_be_set(wire: Wire) -> None:
    wire.control.set_switches(rate_limits={f"GET {ANY}": 1}, rate_window_seconds=50)
    assert [wire.call("GET", ANY).status for _ in range(2)] == [200, 429]

    wire.control.move_clock(51)

    assert wire.call("GET", ANY).status == 200


def test_the_limit_can_be_switched_off_and_forgotten(wire: Wire) -> None:
    wire.control.set_switches(rate_limit=1)
    wire.call("GET", ANY)

    wire.control.set_switches(rate_limit_on=False)
    assert wire.call("GET", ANY).status == 200
    wire.control.set_switches(rate_limit_on=True)
    wire.control.clear_usage()
    assert [wire.call("GET", ANY).status for _ in range(2)] == [200, 429]


def test_signing_in_counts_too(wire: Wire) -> None:
    wire.control.set_switches(rate_limit=1)

    assert wire.authenticate().status == 429


def test_retry_after_is_seconds_a_date_or_missing(wire: Wire) -> None:
    wire.control.set_switches(rate_limit=0, rate_window_seconds=60)
    assert int(wire.call("GET", ANY).headers["Retry-After"]) == 60

    wire.control.set_switches(retry_after="date")
    moment = parsedate_to_datetime(wire.call("GET", ANY).headers["Retry-After"])
    wire.control.set_switches(retry_after="omit")

    assert 55 <= moment.timestamp() - time.time() <= 62
    assert "Retry-After" not in wire.call("GET", ANY).headers


def test_refused_calls_use_the_limit_when_switched(wire: Wire) -> None:
    wire.control.set_switches(rate_limit=1, rate_window_seconds=100, rate_counts_refused=True)
    wire.call("GET", ANY)
    wire.control.move_clock(60)
    wire.call("GET", ANY)

    wire.control.move_clock(60)

    assert wire.call("GET", ANY).status == 429


# Faults


def test_a_429_on_demand_comes_with_or_without_retry_after(wire: Wire) -> None:
    wire.control.add_fault("rate_limited", f"GET {ANY}", count=1, retry_after=7)
    wire.control.add_fault("rate_limited", f"GET {ANY}", count=1)

    first, second, third = (wire.call("GET", ANY) for _ in range(3))

    assert (first.status, first.headers["Retry-After"]) == (429, "7")
    assert (second.status, "Retry-After" in second.headers) == (429, False)
    assert third.status == 200


@pytest.mark.parametrize("status", [500, 503, 403])
def test_an_error_on_demand_writes_nothing(wire: Wire, account: AccountState, status: int) -> None:
    wire.control.add_fault("error", CREATE, count=1, status=status)

    assert post(wire, account).status_code == status
    assert wire.control.contacts() == []
    assert post(wire, account).status_code == 200


def test_an_error_after_the_write_leaves_the_write(wire: Wire, account: AccountState) -> None:
    wire.control.add_fault("error_after", CREATE, count=1)

    assert post(wire, account).status_code == 500
    assert len(wire.control.contacts()) == 1


def test_a_failure_can_come_inside_a_200(wire: Wire) -> None:
    wire.control.add_fault("refused_in_200", f"GET {ANY}")

    answer = wire.call("GET", ANY)

    assert (answer.status, answer.body["success"]) == (200, False)


def test_a_401_in_mid_run_is_the_real_one(wire: Wire) -> None:
    wire.control.add_fault("unauthorized", f"GET {ANY}", count=1)

    answer = wire.call("GET", ANY)

    assert (answer.status, answer.error["code"]) == (401, 978001)
    assert wire.call("GET", ANY).status == 200


@pytest.mark.parametrize(
    ("kind", "written"), [("hang", 0), ("hang_after", 1), ("reset", 0), ("reset_after", 1)]
)
def test_a_lost_reply_may_hide_a_write(
    wire: Wire, account: AccountState, kind: Kind, written: int
) -> None:
    wire.control.add_fault(kind, CREATE, count=1)

    with pytest.raises((requests.Timeout, requests.ConnectionError)):
        post(wire, account, timeout=0.2)

    assert len(wire.control.contacts()) == written
    log = wire.control.log()[-1]
    assert (log["fault"], log["status"]) == (kind, 200 if kind == "hang_after" else 0)
    assert [each.changed for each in wire.control.writes()] == [bool(written)]


def test_a_slow_write_happens_after_the_client_has_gone(wire: Wire, account: AccountState) -> None:
    wire.control.add_fault("slow", CREATE, seconds=0.5)

    with pytest.raises(requests.Timeout):
        post(wire, account, timeout=0.1)

    assert wire.control.contacts() == []
    until(lambda: len(wire.control.contacts()) == 1)


def test_a_late_reply_still_comes(wire: Wire, account: AccountState) -> None:
    wire.control.add_fault("hang_after", CREATE, seconds=0.2)

    assert post(wire, account).json()["success"] is True


def test_a_truncated_body_is_no_json(wire: Wire) -> None:
    wire.control.seed_demo()
    wire.control.add_fault("truncated", "GET /v2/crm/*", count=1)

    reply = wire.session.get(f"{wire.url}/v2/crm/contacts/summary", timeout=5)

    assert reply.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        reply.json()


def test_a_connection_can_break_in_the_middle_of_a_body(wire: Wire) -> None:
    wire.control.seed_demo()
    wire.control.add_fault("cut_off", "GET /v2/crm/*", count=1)

    with pytest.raises(requests.RequestException):
        wire.session.get(f"{wire.url}/v2/crm/contacts/summary", timeout=5)


def test_a_fault_can_wait_and_end_by_count(wire: Wire) -> None:
    wire.control.add_fault("error", f"GET {ANY}", skip=1, count=2)

    assert [wire.call("GET", ANY).status for _ in range(4)] == [200, 500, 500, 200]
    assert wire.control.faults()[0]["struck"] == 2


def test_a_fault_can_strike_one_person_only(wire: Wire) -> None:
    account = wire.customer()
    ids = wire.control.add_contacts([{"account_id": account.id}, {"account_id": account.id}])
    wire.control.add_fault("error", "PATCH *", contains=str(ids[0]))
    wire.control.add_fault("error", "PATCH *", contains="poison", status=503)

    assert wire.patch(ids[0], JobTitle="x").status == 500
    assert wire.patch(ids[1], JobTitle="x").status == 200
    assert wire.patch(ids[1], JobTitle="poison").status == 503


def test_a_fault_can_strike_by_chance(wire: Wire) -> None:
    wire.control.add_fault("error", rate=0.5)

    statuses = [wire.call("GET", ANY).status for _ in range(60)]

    assert 10 < statuses.count(500) < 50


def test_faults_can_be_cleared_one_by_one(wire: Wire) -> None:
    first = wire.control.add_fault("error", status=500)
    wire.control.add_fault("error", status=503)

    wire.control.clear_faults(first)
    assert wire.call("GET", ANY).status == 503
    wire.control.clear_faults()
    assert wire.call("GET", ANY).status == 200


def test_an_unknown_fault_or_switch_is_refused_by_name(wire: Wire) -> None:
    wrong: Any = "explode"
    with pytest.raises(ControlRefused, match="explode"):
        wire.control.add_fault(wrong)
    for changes in ({"colour": "red"}, {"validation_status": 500}, {"phone_required": 1}):
        with pytest.raises(ControlRefused, match=next(iter(changes))):
            wire.control.set_switches(**changes)
    with pytest.raises(ControlRefused, match="operations"):
        wire.control.set_switches(operations=["add", "add", "delete"])


# Counters and logs


def test_calls_are_counted_by_method_and_template(wire: Wire) -> None:
    wire.control.clear_counters()
    for path in ("/v2/crm/contacts/summary/1", "/v2/crm/contacts/summary/2", "/v2/nowhere"):
        wire.call("GET", path)

    counters = wire.control.counters()

    assert counters.calls == {
        "GET /v2/crm/contacts/summary/{id}": 2,
        "GET (no such route)": 1,
    }
    assert counters.total == 3
    assert counters.with_status(404) == 3


def test_the_log_has_no_bodies_and_can_be_read_on_from_a_number(
    wire: Wire, account: AccountState
) -> None:
    post(wire, account)
    last = wire.control.log()[-1]
    wire.call("GET", ANY)

    assert "mara" not in str(wire.control.log())
    assert [line["endpoint"] for line in wire.control.log(last["number"])] == [f"GET {ANY}"]


def test_writes_are_kept_with_their_bodies(wire: Wire, account: AccountState) -> None:
    made = wire.create(account).result["id"]
    wire.create(account, FirstName="")
    wire.patch(made, JobTitle="Chief")

    writes = wire.control.writes()

    assert [(each.method, each.changed) for each in writes] == [
        ("POST", True),
        ("POST", False),
        ("PATCH", True),
    ]
    assert writes[2].body == [{"op": "replace", "path": "/JobTitle", "value": "Chief"}]
    assert wire.control.writes(since=writes[2].number) == []


def until(claim: Any, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
