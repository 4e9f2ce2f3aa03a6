"""Signing in to BMS, its hourly limit, and what the log may hold (bms-api.md 2 and 3)."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.model import RecordId
from shared.errors import PersonMustAct, TryLater, Uncertain
from tests.adapters.bms_adapter import (
    CREATE,
    LIST,
    PASSWORD,
    READ,
    SETTINGS,
    SIGN_IN,
    BmsWire,
)

pytestmark = pytest.mark.world


# --- signing in ------------------------------------------------------------------------------


def test_one_sign_in_serves_many_calls(bms_wire: BmsWire) -> None:
    for _ in range(3):
        bms_wire.api.contact(RecordId(1))

    assert bms_wire.calls(SIGN_IN) == 1


def test_settings_are_checked_by_signing_in_with_them(bms_wire: BmsWire) -> None:
    settings = replace(SETTINGS, api_url=bms_wire.process.url)

    bms_wire.api.check_sign_in(settings, PASSWORD)

    assert bms_wire.calls(SIGN_IN) == 1


@pytest.mark.parametrize("status", [401, 400, 200], ids=lambda status: f"told as {status}")
@pytest.mark.parametrize(
    ("change", "password"),
    [
        ({}, "not-the-password"),
        ({"tenant": "Somebody Else"}, PASSWORD),
        ({"user_name": "x"}, PASSWORD),
    ],
    ids=["password", "tenant", "user"],
)
def test_a_refused_sign_in_says_what_to_do_without_the_password(
    bms_wire: BmsWire, change: dict[str, str], password: str, status: int
) -> None:
    bms_wire.control.set_switches(signin_refused_status=status)
    settings = replace(SETTINGS, api_url=bms_wire.process.url, **change)  # type: ignore[arg-type]

    with pytest.raises(PersonMustAct) as refusal:
        bms_wire.api.check_sign_in(settings, password)

    assert refusal.value.code == "bms-signin"
    assert "BMS refused the sign-in" in refusal.value.sentence
    assert "password" in refusal.value.next_step
    assert password not in refusal.value.sentence + refusal.value.next_step


def test_without_settings_or_password_a_person_is_told_r30(bms_wire: BmsWire) -> None:
    bms_wire.vault.held.clear()
    with pytest.raises(PersonMustAct, match="password is missing"):
        bms_wire.api.accounts()

    bms_wire.settings.held = None
    bms_wire.clock.pass_(timedelta(minutes=1))
    with pytest.raises(PersonMustAct, match="not set up"):
        bms_wire.api.accounts()


@pytest.mark.parametrize(
    "switches",
    [{}, {"timestamps": "zoneless"}, {"token_expiry": "omitted"}],
    ids=["expiry with a zone", "expiry without a zone", "expiry left out"],
)
def test_a_token_is_renewed_before_it_ends(bms_wire: BmsWire, switches: dict[str, object]) -> None:
    bms_wire.control.set_switches(access_token_seconds=3600, **switches)
    bms_wire.api.contact(RecordId(1))
    bms_wire.clock.pass_(timedelta(minutes=54))
    bms_wire.api.contact(RecordId(1))
    assert bms_wire.calls(SIGN_IN) == 1

    bms_wire.clock.pass_(timedelta(minutes=2))
    bms_wire.api.contact(RecordId(1))

    assert bms_wire.calls(SIGN_IN) == 2
    assert bms_wire.control.counters().with_status(401) == 0


def test_a_token_that_was_withdrawn_is_replaced_once_and_the_call_repeated(
    bms_wire: BmsWire,
) -> None:
    record = bms_wire.a_contact()
    bms_wire.read(record)
    bms_wire.control.invalidate_tokens()

    assert bms_wire.read(record).id == record

    assert bms_wire.calls(SIGN_IN) == 2
    assert bms_wire.control.counters().with_status(401) == 1


def test_a_token_that_is_refused_again_and_again_is_a_persons_matter(bms_wire: BmsWire) -> None:
    bms_wire.control.add_fault("unauthorized", READ)

    with pytest.raises(PersonMustAct) as refusal:
        bms_wire.api.contact(RecordId(1))

    assert refusal.value.code == "bms-signin"
    assert bms_wire.calls(READ) == 2


def test_a_saved_change_of_the_settings_signs_in_anew(bms_wire: BmsWire) -> None:
    bms_wire.api.contact(RecordId(1))
    assert bms_wire.settings.held is not None
    bms_wire.settings.held = replace(bms_wire.settings.held, version="2")
    bms_wire.clock.pass_(timedelta(seconds=11))

    bms_wire.api.contact(RecordId(1))

    assert bms_wire.calls(SIGN_IN) == 2


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_429_with_retry_after_is_waited_for_in_the_queue_r25(
    bms_wire: BmsWire, form: str
) -> None:
    bms_wire.control.set_switches(rate_limits={READ: 1}, retry_after=form)
    bms_wire.api.contact(RecordId(1))

    for _ in range(3):
        with pytest.raises(TryLater) as later:
            bms_wire.api.contact(RecordId(1))
        assert later.value.after is not None
        assert timedelta(minutes=50) < later.value.after <= timedelta(minutes=60)
        assert not later.value.counts, "work that waits for a limit has not failed"

    assert bms_wire.calls(READ) == 2, "the endpoint is left alone until then"
    bms_wire.api.accounts()


def test_a_429_without_retry_after_leaves_the_endpoint_alone_too_r25(bms_wire: BmsWire) -> None:
    bms_wire.control.set_switches(rate_limits={READ: 1}, retry_after="omit")
    bms_wire.api.contact(RecordId(1))

    for _ in range(3):
        with pytest.raises(TryLater) as later:
            bms_wire.api.contact(RecordId(1))
        assert later.value.after is not None
        assert later.value.after >= timedelta(seconds=30)
        assert not later.value.counts

    assert bms_wire.calls(READ) <= 4, "one round of short tries, then none"


def test_a_create_that_was_limited_is_not_uncertain_r25(bms_wire: BmsWire) -> None:
    bms_wire.control.add_fault("rate_limited", CREATE, retry_after=600)

    with pytest.raises(TryLater) as later:
        bms_wire.api.create_contact(bms_wire.new())

    assert not isinstance(later.value, Uncertain)


@pytest.mark.parametrize("kind", ["error", "reset"])
def test_passing_trouble_is_overcome_by_a_short_wait(bms_wire: BmsWire, kind: Any) -> None:
    record = bms_wire.a_contact()
    bms_wire.control.add_fault(kind, READ, count=1, status=503)

    assert bms_wire.read(record).id == record


def test_no_text_names_a_person_in_the_log_r29(
    bms_wire: BmsWire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="shared")
    bms_wire.control.add_fault("error", LIST)

    with pytest.raises(TryLater):
        bms_wire.api.find_contacts("ada@contoso.example")

    assert "call failed" in caplog.text
    assert "contoso" not in caplog.text
    assert PASSWORD not in caplog.text
