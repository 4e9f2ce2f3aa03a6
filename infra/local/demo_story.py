"""The story: what happens in Entra and in BMS, and what each change must make of the contacts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from infra.local.admin import Admin, wait_for
from infra.local.bms.control import BmsControl
from infra.local.demo_cast import OPTICS, WORKSHOP, Tenant, add_person, card_of
from infra.local.demo_check import Card, Expected, changes
from infra.local.demo_columns import change_line, say
from infra.local.demo_itglue import await_phone, switch_on
from infra.local.entra.control import EntraControl
from infra.local.itglue.control import ItGlueControl

PATIENCE_SECONDS = 45.0
_LOOK_EVERY_SECONDS = 0.02
_QUIET_SECONDS = 0.3


class StoryFailed(Exception):
    """BMS does not hold what the story demands; the text says what is wrong, in one sentence."""


@dataclass(frozen=True)
class Stage:
    """Everything that the story plays with."""

    entra: EntraControl
    bms: BmsControl
    admin: Admin
    expected: Expected
    contoso: Tenant
    fabrikam: Tenant
    connections: dict[str, str]  # tenant domain → connection id
    app_runs: Callable[[], bool]
    itglue: ItGlueControl


@dataclass(frozen=True, slots=True)
class Told:
    """How long a change took, and whether it came by the sweep."""

    word: str
    seconds: float


class Story:
    """Plays the changes one after the other; each is awaited before the next."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.told: list[Told] = []

    def play(self) -> None:
        """Everything, from the first day to the last."""
        self._hired()
        self._renamed()
        self._edited_by_hand()
        self._moved()
        self._left()
        self._came_back()
        self._nested()
        self._left_the_group()
        self._notification_lost()
        self._passed_on()

    # --- the changes -----------------------------------------------------------------------------

    def _hired(self) -> None:
        stage, tenant = self._stage, self._stage.contoso
        props = {
            "displayName": "Priya Raghunathan",
            "givenName": "Priya",
            "surname": "Raghunathan",
            "mail": "priya.raghunathan@contoso.example",
            "jobTitle": "Optometrist",
            "businessPhones": ["+49 30 5550120"],
        }
        card = card_of(OPTICS, props, work_phone="+49 30 5550120")

        def act() -> None:
            tenant.users["priya"] = add_person(stage.entra, tenant, "priya", props)
            stage.entra.add_member(tenant.id, tenant.groups["staff"], tenant.users["priya"])

        self._change("hired", "Priya Raghunathan joins Optics staff", act, priya=card)

    def _renamed(self) -> None:
        old = self._card("zoe")
        mail = "zoe.nakamura@contoso.example"
        # The former address stays as a further one (R11).
        new = replace(old, last_name="Nakamura", emails=(mail, *old.emails))
        self._change(
            "renamed",
            "Zoë Færber marries and is Zoë Nakamura",
            lambda: self._update("zoe", surname="Nakamura", displayName="Zoë Nakamura", mail=mail),
            zoe=new,
        )

    def _edited_by_hand(self) -> None:
        stage = self._stage
        by_entra = self._card("thordis")
        by_hand = replace(by_entra, job_title="Queen of lenses")
        record = stage.expected.ids["thordis"]
        stage.bms.edit_contact(record, job_title=by_hand.job_title)
        stage.expected.cards["thordis"] = by_hand
        calls = self._settled_calls()
        for kind in ("sweep", "full"):
            stage.admin.sync(stage.connections[stage.contoso.domain], kind)
        sent = stage.bms.counters().total - calls
        self._demand_now()
        if sent:
            raise StoryFailed(f"a full sync after an edit by hand sent {sent} calls to BMS, not 0")
        say(
            change_line(
                "by hand",
                "nothing: a technician edits Þórdís in BMS",
                f"{changes(by_entra, by_hand)[0]}, which stays: a full sync sends nothing",
                None,
            )
        )
        self._change(
            "changed",
            "Þórdís Jónsdóttir gets a mobile phone",
            lambda: self._update("thordis", mobilePhone="+354 611 5550"),
            thordis=replace(by_entra, mobile_phone="+354 611 5550"),
        )

    def _moved(self) -> None:
        stage, tenant = self._stage, self._stage.contoso
        old = self._card("lukasz")
        user = tenant.users["lukasz"]

        def act() -> None:
            stage.entra.add_member(tenant.id, tenant.groups["workshop"], user)
            stage.entra.remove_member(tenant.id, tenant.groups["staff"], user)

        # A BMS contact does not change account: a new one there, and the old one goes (R17).
        stage.expected.cards["lukasz before"] = old
        stage.expected.ids["lukasz before"] = stage.expected.ids.pop("lukasz")
        del stage.expected.cards["lukasz"]
        self._change(
            "moved",
            "Łukasz Żółciński goes from Optics staff to Workshop crew",
            act,
            **{"lukasz before": replace(old, active=False)},
            lukasz=replace(old, account=WORKSHOP),
        )

    def _left(self) -> None:
        tenant = self._stage.contoso
        self._change(
            "left",
            "Siobhán O'Brien is deleted",
            lambda: self._stage.entra.soft_delete(tenant.id, tenant.users["siobhan"]),
            siobhan=replace(self._card("siobhan"), active=False),
        )

    def _came_back(self) -> None:
        tenant = self._stage.contoso
        self._change(
            "came back",
            "Siobhán O'Brien is restored",
            lambda: self._stage.entra.restore(tenant.id, tenant.users["siobhan"]),
            siobhan=replace(self._card("siobhan"), active=True),
        )

    def _nested(self) -> None:
        tenant = self._stage.contoso
        self._change(
            "nested",
            "佐藤 花子 leaves Night shift, a group inside Optics staff",
            lambda: self._stage.entra.remove_member(
                tenant.id, tenant.groups["night"], tenant.users["hanako"]
            ),
            hanako=replace(self._card("hanako"), active=False),
        )

    def _left_the_group(self) -> None:
        stage, tenant = self._stage, self._stage.fabrikam
        group, user = tenant.groups["kitchen"], tenant.users["yusuf"]
        self._change(
            "left",
            "Yusuf Çelik leaves Kitchen crew, his only group",
            lambda: stage.entra.remove_member(tenant.id, group, user),
            yusuf=replace(self._card("yusuf"), active=False),
        )
        self._change(
            "came back",
            "Yusuf Çelik is in Kitchen crew again",
            lambda: stage.entra.add_member(tenant.id, group, user),
            yusuf=replace(self._card("yusuf"), active=True),
        )

    def _notification_lost(self) -> None:
        stage = self._stage
        new = replace(self._card("ada"), job_title="Head optician")

        def act() -> None:
            self._update("ada", jobTitle="Head optician")
            connection = stage.connections[stage.contoso.domain]
            stage.admin.call("POST", f"/api/connections/{connection}/sync", {"kind": "sweep"})

        stage.entra.switch(notify_loss_rate=1.0)
        try:
            self._change("lost", "Ada Lindqvist is promoted, no notification comes", act, ada=new)
        finally:
            stage.entra.switch(notify_loss_rate=0.0)
        origin = self._origin_of_update(stage.contoso.users["ada"])
        if origin != "sweep":
            raise StoryFailed(f"the lost change was to be found by the sweep, and came by {origin}")
        say(f"{' ' * 15}found by the sweep, which runs every minute; here one was ordered at once")

    def _passed_on(self) -> None:
        """IT Glue is switched on: the next write reaches it, and what was typed there stays."""
        stage, ada = self._stage, self._card("ada")
        account = next(each.id for each in stage.bms.accounts() if each.name == OPTICS)
        person = (ada.first_name, ada.last_name, ada.emails[0])
        number = switch_on(stage.admin, stage.itglue, OPTICS, account, person)
        new = replace(ada, mobile_phone="+49 170 5550200")
        began = time.monotonic()
        self._change(
            "passed on",
            "Ada Lindqvist gets a new phone; IT Glue is on now",
            lambda: self._update("ada", mobilePhone="+49 170 5550200"),
            ada=new,
        )
        contact = await_phone(stage.itglue, number, "1705550200")
        phones = ", ".join(f"{each['label-name']} {each['value']}" for each in contact.phones)
        seconds = time.monotonic() - began
        say(f"{' ' * 13}→ contact {number} in IT Glue after {seconds:.1f} s: {phones}")
        if not any(each["label-name"] == "Home" for each in contact.phones) or not contact.notes:
            raise StoryFailed("what a technician had typed in IT Glue is gone")

    # --- how -------------------------------------------------------------------------------------

    def _card(self, key: str) -> Card:
        return self._stage.expected.cards[key]

    def _update(self, key: str, **props: Any) -> None:
        tenant = self._stage.contoso
        self._stage.entra.update_user(tenant.id, tenant.users[key], **props)

    def _origin_of_update(self, user: str) -> str:
        def look() -> str | None:
            # The line is written after BMS shows the value, so it may be a moment late.
            page = self._stage.admin.call("GET", "/api/activity", userId=user, limit="1")
            newest = page["items"][0]
            return str(newest["origin"]) if newest["kind"] == "update" else None

        return wait_for(look, 20, what="the activity's line of the lost change")

    def _change(self, word: str, in_entra: str, act: Callable[[], object], **wanted: Card) -> None:
        expected = self._stage.expected
        before = {key: expected.cards.get(key) for key in wanted}
        expected.cards.update(wanted)
        began = time.monotonic()
        act()
        self._await(began, f"{word}: {in_entra}")
        seconds = time.monotonic() - began
        self.told.append(Told(word, seconds))
        in_bms = "; ".join(self._became(key, before[key]) for key in wanted)
        say(change_line(word, in_entra, in_bms, seconds))

    def _became(self, key: str, before: Card | None) -> str:
        card, record = self._card(key), self._stage.expected.ids[key]
        if before is None:
            return f"new contact {record} in {card.account}, {card.emails[0]}"
        where = f" in {card.account}" if key.endswith("before") else ""
        return f"contact {record}{where}: {', '.join(changes(before, card))}"

    def _await(self, began: float, what: str) -> None:
        while True:
            problems = self._stage.expected.problems(self._stage.bms.contacts())
            if not problems:
                return
            if not self._stage.app_runs():
                raise StoryFailed("the app ended by itself")
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise StoryFailed(
                    f"not in BMS after {PATIENCE_SECONDS:.0f} s – {what}: {'; '.join(problems)}"
                )
            time.sleep(_LOOK_EVERY_SECONDS)

    def _settled_calls(self) -> int:
        """BMS's calls once there are no more: the last write shows before its reply is counted."""
        calls = -1
        while calls != (now := self._stage.bms.counters().total):
            calls = now
            time.sleep(_QUIET_SECONDS)
        return calls

    def _demand_now(self) -> None:
        problems = self._stage.expected.problems(self._stage.bms.contacts())
        if problems:
            raise StoryFailed("; ".join(problems))
