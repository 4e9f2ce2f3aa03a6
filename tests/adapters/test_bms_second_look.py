"""A refused sign-in is remembered, and what was learnt of one BMS ends with its settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from shared.adapters.bms import BmsApi
from shared.adapters.bms_session import BmsSession, Reply
from shared.core.model import RecordId
from shared.errors import DecideAgain, PersonMustAct
from shared.ports import BMS_PASSWORD, EntryChange
from tests.adapters.bms_adapter import PASSWORD, SIGN_IN, BmsWire
from tests.fakes import FakeVault

pytestmark = pytest.mark.world

ADD = EntryChange("add", "2", type_id=22, is_default=False)


@dataclass
class CachingVault(FakeVault):
    """What this process has cached is older than what the vault holds."""

    cached: str = "the-former-password"

    def get(self, name: str, *, fresh: bool = False) -> str | None:
        if fresh:
            self.cached = super().get(name) or ""
        return self.cached


def saved_anew(wire: BmsWire) -> None:
    """Another instance has saved the settings, and this one has seen it."""
    assert wire.settings.held is not None
    version = f"{wire.settings.held.version}+"
    wire.settings.held = replace(wire.settings.held, version=version)
    wire.clock.pass_(timedelta(seconds=11))


def counting_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """BMS takes every change of an entry, and counts none."""
    call = BmsSession.call

    def zeros(self: BmsSession, method: str, route: str, *rest: str, **given: object) -> object:
        if route.endswith(("/phones", "/emails")):
            return Reply({"Success": True, "Result": {"Added": 0, "Updated": 0, "Deleted": 0}})
        return call(self, method, route, *rest, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(BmsSession, "call", zeros)


# --- signing in --------------------------------------------------------------------------------


def test_a_refused_sign_in_is_not_repeated_for_minutes_r25_r30(bms_wire: BmsWire) -> None:
    bms_wire.vault.held[BMS_PASSWORD] = "not-the-password"

    for _ in range(12):
        with pytest.raises(PersonMustAct) as refusal:
            bms_wire.api.contact(RecordId(1))
        assert refusal.value.code == "bms-signin"
        bms_wire.clock.pass_(timedelta(seconds=5))

    assert bms_wire.calls(SIGN_IN) <= 2, "every further try brings a lock-out nearer"


def test_after_minutes_a_refused_sign_in_is_tried_again_r30(bms_wire: BmsWire) -> None:
    bms_wire.vault.held[BMS_PASSWORD] = "not-the-password"
    with pytest.raises(PersonMustAct):
        bms_wire.api.contact(RecordId(1))
    bms_wire.vault.held[BMS_PASSWORD] = PASSWORD
    bms_wire.clock.pass_(timedelta(minutes=5))

    record = bms_wire.a_contact()

    assert bms_wire.read(record).id == record


def test_a_new_password_in_the_vault_is_used_at_once_whatever_is_cached_r30(
    bms_wire: BmsWire,
) -> None:
    bms_wire.vault = CachingVault({BMS_PASSWORD: PASSWORD})
    bms_wire.api = bms_wire.another()
    record = bms_wire.a_contact()

    assert bms_wire.read(record).id == record


def test_new_settings_end_a_remembered_refusal_at_once_r30(bms_wire: BmsWire) -> None:
    bms_wire.vault = CachingVault({BMS_PASSWORD: "not-the-password"})
    bms_wire.api = bms_wire.another()
    with pytest.raises(PersonMustAct):
        bms_wire.api.contact(RecordId(1))
    bms_wire.vault.held[BMS_PASSWORD] = PASSWORD
    saved_anew(bms_wire)
    record = bms_wire.a_contact()

    assert bms_wire.read(record).id == record


def test_a_check_that_succeeds_ends_a_remembered_refusal_at_once_r30(bms_wire: BmsWire) -> None:
    bms_wire.vault.held[BMS_PASSWORD] = "not-the-password"
    with pytest.raises(PersonMustAct):
        bms_wire.api.contact(RecordId(1))
    assert bms_wire.settings.held is not None
    bms_wire.api.check_sign_in(bms_wire.settings.held, PASSWORD)
    bms_wire.vault.held[BMS_PASSWORD] = PASSWORD
    record = bms_wire.a_contact()

    assert bms_wire.read(record).id == record


# --- the guard of e-mails and phones -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["emails", "phones"])
def test_a_reply_that_counts_nothing_concerns_this_contact_alone_r24(
    bms_wire: BmsWire, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ada, ben = bms_wire.a_contact(phones=["1"]), bms_wire.a_contact(phones=["1"])
    send = {"emails": bms_wire.api.change_emails, "phones": bms_wire.api.change_phones}[kind]
    change = ADD if kind == "phones" else EntryChange("add", "b@x.example", type_id=11)
    with monkeypatch.context() as for_now:
        counting_nothing(for_now)
        with pytest.raises(DecideAgain):
            send(ada, [change])

    send(ben, [change])
    send(ada, [change])

    for record in (ada, ben):
        contact = bms_wire.control.get_contact(record)
        assert change.value in [one.value for one in (*contact.emails, *contact.phones)]


def a_tripped_guard(wire: BmsWire, api: BmsApi) -> RecordId:
    record = wire.a_contact(phones=["1", "3"])
    wire.control.set_switches(operations=["add", "delete", "update"])
    with pytest.raises(PersonMustAct) as guard:
        api.change_phones(record, [EntryChange("update", "3", "4", 21)])
    assert guard.value.code == "bms-entry-operations"
    wire.control.set_switches(operations=["add", "update", "delete"])
    return record


def test_new_settings_release_the_guard_on_every_instance(bms_wire: BmsWire) -> None:
    elsewhere = bms_wire.another()
    record = a_tripped_guard(bms_wire, elsewhere)
    saved_anew(bms_wire)

    elsewhere.change_phones(record, [ADD])

    assert "2" in [one.value for one in bms_wire.control.get_contact(record).phones]


def test_the_guard_stays_while_the_settings_do(bms_wire: BmsWire) -> None:
    record = a_tripped_guard(bms_wire, bms_wire.api)
    bms_wire.clock.pass_(timedelta(minutes=30))

    with pytest.raises(PersonMustAct):
        bms_wire.api.change_phones(record, [ADD])


def test_with_new_settings_the_types_are_learnt_anew(bms_wire: BmsWire) -> None:
    record = bms_wire.a_contact(phones=["1"])
    bms_wire.api.change_phones(record, [ADD])
    bms_wire.read(record)
    bms_wire.api.contact_types()
    saved_anew(bms_wire)
    bms_wire.control.clear_counters()

    bms_wire.api.contact_types()

    assert bms_wire.control.counters().total > 0, "another BMS has other type ids"
