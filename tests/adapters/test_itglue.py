"""The IT Glue adapter on the stand-in process (itglue-api.md)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local.itglue.process import ItGlueProcess
from shared.adapters.bms_budget import BmsBudget
from shared.adapters.http_session import PooledSession
from shared.adapters.itglue import ItGlueApi
from shared.adapters.itglue_session import ItGlueSession, itglue_limit
from shared.core.budget import Limit
from shared.core.itglue import GlueEntry, GlueId, ItGlueSettings, OrganizationId
from shared.core.model import AccountId, RecordId
from shared.errors import DecideAgain, PersonMustAct, Rejected, TryLater, Uncertain
from shared.ports import ITGLUE_KEY, GlueRefusal
from tests.fakes import Clock, FakeVault
from tests.fakes_itglue import FakeItGlueSettings
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

ADA = "ada@contoso.example"
EMAILS = (GlueEntry(ADA, "Work", primary=True),)
PHONES = (GlueEntry("+49 30 555-01", "Work", primary=True, extension="7"),)


@dataclass
class GlueWire:
    """The adapter, with the key of an account that has one organization."""

    process: ItGlueProcess
    storage: RealStorage
    clock: Clock = field(default_factory=lambda: Clock(datetime.now(UTC)))

    def __post_init__(self) -> None:
        self.control = self.process.control
        self.vault = FakeVault({ITGLUE_KEY: self.control.key})
        settings = ItGlueSettings(True, self.process.url, version="1")
        self.settings = FakeItGlueSettings(settings)
        self.organization = OrganizationId(self.control.add_organization("Contoso", psa_id=7))
        self.api = self.another()

    def another(self, limit: Limit | None = None) -> ItGlueApi:
        """Another process of the app."""

        def of(*_: str) -> Limit:
            return limit or itglue_limit()

        budget = BmsBudget(
            self.storage.opened(), of, self.clock, partition="itglue", words="IT Glue's limit"
        )
        session = ItGlueSession(PooledSession(), self.settings, self.vault, budget, self.clock)
        return ItGlueApi(session, self.clock)

    def add(self, *emails: str, **more: Any) -> GlueId:
        given = {"first_name": "Ada", "last_name": "Lind", **more}
        return GlueId(
            str(self.control.add_contact(int(self.organization), emails=emails or (ADA,), **given))
        )


@pytest.fixture
def wire(itglue: ItGlueProcess, real_storage: RealStorage) -> Iterator[GlueWire]:
    one = GlueWire(itglue, real_storage)
    yield one
    methods = {line["method"] for line in one.control.log()}
    assert methods <= {"GET", "POST", "PATCH"}, "never DELETE (R16)"


# --- reading -----------------------------------------------------------------------------------


def test_a_contact_is_read_with_its_lists(wire: GlueWire) -> None:
    phone = {"value": "4930555", "label-name": "Cell", "primary": True, "extension": "7"}
    number = wire.add(phones=[{**phone, "label-type": "phone"}], title="Clerk", contact_type_id=41)

    found = wire.api.contact(number)

    assert found is not None
    assert (found.first_name, found.last_name, found.title) == ("Ada", "Lind", "Clerk")
    assert (found.organization_id, found.type_id, found.synced) == (wire.organization, 41, False)
    assert found.emails == EMAILS
    assert found.phones == (GlueEntry("4930555", "Cell", primary=True, extension="7"),)


def test_a_contact_that_is_not_there_is_none(wire: GlueWire) -> None:
    assert wire.api.contact(GlueId("1")) is None


def test_all_contacts_of_one_organization_are_read_whatever_their_number(wire: GlueWire) -> None:
    other = wire.control.add_organization("Other")
    wire.control.generate(other, 3)
    wire.control.generate(int(wire.organization), 2345)

    found = wire.api.contacts(wire.organization)

    assert len({one.id for one in found}) == 2345
    assert wire.control.calls("GET /contacts") == 3, "1,000 a page"


def test_contacts_are_kept_for_a_minute_unless_they_are_wanted_fresh(wire: GlueWire) -> None:
    assert wire.api.contacts(wire.organization) == []
    wire.add()
    made = wire.api.create(wire.organization, {"first-name": "Ben"}, (), ())

    assert wire.api.contacts(wire.organization) == [made], "our own is in the list at once"
    assert len(wire.api.contacts(wire.organization, fresh=True)) == 2


def test_it_glues_own_connection_with_bms_is_asked_for(wire: GlueWire) -> None:
    number = wire.add(psa_id=500)
    wire.control.add_contact(int(wire.organization), psa_id=500, psa_type="autotask")

    [found] = wire.api.contacts_of_bms(RecordId(500))

    assert (found.id, found.synced) == (number, True)
    assert wire.api.contacts_of_bms(RecordId(501)) == []
    assert wire.api.organizations_of_bms(AccountId(7)) == [wire.organization]
    assert wire.api.organizations_of_bms(AccountId(8)) == []


@pytest.mark.parametrize("switches", [{}, {"psa_mark": "absent"}], ids=["mark", "adapters only"])
def test_a_synced_contact_is_known_by_its_mark_or_by_its_adapters(
    wire: GlueWire, switches: dict[str, object]
) -> None:
    wire.control.set_switches(**switches)
    assert wire.api.is_synced(wire.add(psa_id=500))
    assert not wire.api.is_synced(wire.add())


def test_organizations_and_contact_types_are_read_by_name(wire: GlueWire) -> None:
    account = wire.api.account()
    assert account.organizations == {wire.organization: "Contoso"}
    assert set(account.contact_types.values()) == set(wire.control.types())


# --- writing -----------------------------------------------------------------------------------


def test_a_contact_is_made_with_everything_in_its_attributes(wire: GlueWire) -> None:
    fields = {"first-name": "Ada", "last-name": "Lind", "title": "Clerk"}

    made = wire.api.create(wire.organization, fields, EMAILS, PHONES)

    [held] = wire.control.contacts()
    assert (made.id, made.organization_id) == (str(held.id), wire.organization)
    assert (held.first_name, held.last_name, held.title) == ("Ada", "Lind", "Clerk")
    assert held.primary_email == ADA
    assert [(one["value"], one["extension"]) for one in held.phones] == [("+493055501", "7")]
    assert held.restricted is False


def test_a_change_sends_what_differs_and_lists_whole(wire: GlueWire) -> None:
    number = wire.add(title="Clerk", notes="<b>by hand</b>", important=True)

    wire.api.update(number, {"title": None}, None, PHONES)

    held = wire.control.contact(int(number))
    assert (held.title, held.notes, held.important) == (None, "<b>by hand</b>", True)
    assert held.primary_email == ADA
    [write] = wire.control.writes()
    assert set(write["body"]["data"]["attributes"]) == {"title", "contact-phones"}


def test_a_change_of_a_contact_that_is_gone_is_decided_again(wire: GlueWire) -> None:
    with pytest.raises(DecideAgain):
        wire.api.update(GlueId("99"), {"title": "x"}, None, None)


@pytest.mark.parametrize("form", ["title", "detail"])
def test_a_422_is_told_in_it_glues_words_with_the_attribute(wire: GlueWire, form: str) -> None:
    wire.control.set_switches(error_form=form)

    with pytest.raises(GlueRefusal) as refusal:
        wire.api.create(OrganizationId(1), {"first-name": "x"}, (), ())

    assert "Valid organization_id is required" in refusal.value.sentence
    assert refusal.value.names == ("organization-id",)


def test_a_422_of_a_synced_contact_names_no_attribute(wire: GlueWire) -> None:
    number = wire.add(psa_id=500)

    with pytest.raises(GlueRefusal) as refusal:
        wire.api.update(number, {"title": "x"}, None, None)

    assert refusal.value.names == ()
    assert "synced" in refusal.value.sentence


def test_a_create_without_an_answer_is_uncertain_and_not_repeated(wire: GlueWire) -> None:
    wire.control.add_fault("reset_after", "POST /contacts", count=1)

    with pytest.raises(Uncertain):
        wire.api.create(wire.organization, {"first-name": "x"}, (), ())

    assert wire.control.calls("POST /contacts") == 1
    assert len(wire.control.contacts()) == 1


# --- the key -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 401])
@pytest.mark.parametrize("body", ["errors", "empty"])
def test_r27_a_revoked_key_is_told_alike_whatever_the_answer_and_not_tried_on_and_on(
    wire: GlueWire, status: int, body: str
) -> None:
    wire.control.set_switches(refused_key_status=status, bare_refusals=body)
    wire.control.set_keys("another-key")

    with pytest.raises(PersonMustAct) as refusal:
        wire.api.contact(GlueId("1"))

    assert refusal.value.code == "itglue-key"
    assert wire.control.key not in refusal.value.sentence + refusal.value.next_step
    with pytest.raises(PersonMustAct):
        wire.api.ready()
    assert wire.control.counters()["total"] == 1


def test_r29_a_key_that_another_instance_has_saved_is_found(wire: GlueWire) -> None:
    wire.control.set_keys("newer")

    class Vault(FakeVault):
        def get(self, name: str, *, fresh: bool = False) -> str | None:
            return "newer" if fresh else "older"

    wire.vault = Vault()

    assert wire.another().contact(GlueId("1")) is None


def test_a_key_is_checked_before_it_is_saved(wire: GlueWire) -> None:
    settings = ItGlueSettings(True, wire.process.url)
    assert wire.api.check(settings, wire.control.key).organizations

    with pytest.raises(PersonMustAct, match="refuses the API key"):
        wire.api.check(settings, "wrong")
    wire.api.ready()


def test_a_saved_change_of_the_settings_ends_the_refusal(wire: GlueWire) -> None:
    wire.control.set_keys("another-key")
    with pytest.raises(PersonMustAct):
        wire.api.contact(GlueId("1"))
    wire.vault.put(ITGLUE_KEY, "another-key")
    assert wire.settings.held
    wire.settings.held = replace(wire.settings.held, version="2")

    wire.api.forget()

    wire.api.ready()
    assert wire.api.contact(GlueId("1")) is None


def test_without_a_key_a_person_is_told(wire: GlueWire) -> None:
    wire.vault.held.clear()
    with pytest.raises(PersonMustAct, match="key is missing"):
        wire.api.account()


# --- limits and outages ------------------------------------------------------------------------


def test_r27_the_limit_is_one_for_all_routes_and_never_run_into(wire: GlueWire) -> None:
    wire.control.set_switches(rate_limit=20)
    limit = Limit(calls=20, window=timedelta(minutes=5), fresh_share=0.2)
    instances = [wire.another(limit), wire.another(limit)]
    refusals: list[TryLater] = []

    for number in range(40):
        try:
            instances[number % 2].contact(GlueId(str(number)))
        except TryLater as later:
            refusals.append(later)

    assert all(later.after and not later.counts for later in refusals)
    assert all("IT Glue's limit" in later.sentence for later in refusals)
    counters = wire.control.counters()
    assert counters["refused_by_limit"] == 0
    assert 16 <= counters["total"] <= 20
    assert len(refusals) == 40 - counters["total"]
    instances[0].ready()


@pytest.mark.parametrize("retry_after", [45, None])
def test_r27_a_429_leaves_it_glue_alone_for_all_instances(
    wire: GlueWire, retry_after: int | None
) -> None:
    wire.control.add_fault("rate_limited", retry_after=retry_after, count=1)
    one, other = wire.another(), wire.another()

    for instance in (one, other, one):
        with pytest.raises(TryLater) as later:
            instance.contact(GlueId("1"))
        assert not later.value.counts
        assert later.value.after
        assert later.value.after >= timedelta(seconds=20)

    assert wire.control.counters()["total"] == 1
    wire.clock.pass_(timedelta(seconds=61))
    assert one.contact(GlueId("1")) is None


def test_r27_while_it_glue_is_away_it_is_left_alone_for_a_moment(wire: GlueWire) -> None:
    wire.control.add_fault("error", status=503)
    with pytest.raises(TryLater):
        wire.api.contact(GlueId("1"))
    asked = wire.control.counters()["total"]

    with pytest.raises(TryLater):
        wire.api.ready()
    assert wire.control.counters()["total"] == asked

    wire.control.clear_faults()
    wire.clock.pass_(timedelta(seconds=10))
    wire.api.ready()
    assert wire.api.contact(GlueId("1")) is None


def test_a_form_that_it_glue_refuses_is_not_a_contacts_fault(wire: GlueWire) -> None:
    wire.control.add_fault("error", status=400, count=1)
    with pytest.raises(Rejected):
        wire.api.contact(GlueId("1"))


def test_no_text_names_a_person_in_the_log_r29(
    wire: GlueWire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="shared")
    wire.control.add_fault("error")

    with pytest.raises(TryLater):
        wire.api.create(wire.organization, {"first-name": "Ada"}, EMAILS, ())

    assert "call failed" in caplog.text
    assert "contoso" not in caplog.text
    assert wire.control.key not in caplog.text
