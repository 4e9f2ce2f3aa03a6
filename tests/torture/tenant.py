"""A small customer for the model: what can happen to his people, and whether BMS came out right."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from unittest.mock import patch

from infra.local.bms.control_values import NewAddress
from infra.local.bms.switches import Switches
from infra.local.host_process import HostProcess
from infra.local.world import World
from tests.real_storage import RealStorage
from tests.stories.oracle import Rule
from tests.stories.population import Json, Population
from tests.stories.story import BMS_SETTINGS, Story, held
from tests.torture.clock import Clock
from tests.torture.departures import Departures
from tests.torture.front import Front
from tests.torture.instance import Instance
from tests.torture.possible import History
from tests.torture.pump import Pump

DOMAIN = "model.example"
SHARED = f"shared@{DOMAIN}"
GROUPS = ("staff", "leads", "inner", "visitors", "spare")
NO_HOLD = {"count": 10_000, "percent": 100, "atMost": 10_000}
FEW_LEAVE = 2
A_HOLD = {"count": FEW_LEAVE, "percent": 1, "atMost": 50}
# By how much the clock of each instance is wrong; the product allows half a minute.
SKEWS = (timedelta(), timedelta(seconds=12), timedelta(seconds=-12))
STILL_HELD = {"waiting", "refused", "expired"}
MINUTE = timedelta(minutes=1)
NOTHING_ODD: dict[str, Any] = {
    "notify_duplicate_rate": 0.0,
    "notify_shuffle": False,
    "delta_replay_changes": 0,
    "delta_contradictions": False,
    **{f"lag_{kind}_seconds": 0.0 for kind in ("delta", "index", "lists", "reads", "checks")},
}


@contextmanager
def in_this_world(world: World, front: Front) -> Iterator[dict[str, str]]:
    """Lead this process's outgoing calls into the world; the app's environment is the value."""
    environment = world.app_environment(0) | {"PUBLIC_URL": front.base_url}
    network = {name: environment[name] for name in world.network_environment()}
    with patch.dict(os.environ, network):
        yield environment


class Tenant:
    """One customer, from his first sync to the end of an example."""

    def __init__(
        self, world: World, front: Front, environment: Mapping[str, str], chance: random.Random
    ) -> None:
        self.world, self.front, self.chance = world, front, chance
        self._environment = environment
        for service in (world.entra, world.bms, world.vault):
            service.clear_faults()
        world.entra.reset()
        world.entra.reset_clock()
        world.entra.switch(notify_hold=True, throttle=False)
        world.bms.reset()
        world.vault.reset()
        RealStorage(world.storage_connection_string).drop_tables()
        self.clock = Clock(world.entra, world.bms)
        self.pump = Pump(world.storage_connection_string, self.clock, chance)
        self.pump.empty()
        self.instances = [self._instance(place) for place in range(2)]
        front.behind = self.instances[0]
        self.story = Story(world, cast(HostProcess, front))
        self.history: History
        self.begin()

    # --- the app -------------------------------------------------------------------------------

    def _instance(self, place: int) -> Instance:
        skew = self.chance.choice(SKEWS) if place else SKEWS[0]
        now = self.clock.skewed(skew)
        return Instance(self._environment, now, self.pump.send_later)

    def revive(self) -> None:
        """In the place of an instance that died a new one is started."""
        for place, each in enumerate(self.instances):
            if each.dead:
                self.instances[place] = self._instance(place)
        self.front.behind = self.instances[0]

    def drain(self, most: int = 600) -> None:
        """Work off everything that is due, and what comes due of it."""
        for _ in range(most):
            self.revive()
            taken = self.pump.take()
            if taken is not None:
                self.pump.run(taken, self.chance.choice(self.instances))
            elif not self.pump.jump():
                return
        raise AssertionError(f"the queues never empty; lately: {self.pump.errors[-5:]}")

    def work_one(self) -> None:
        """One message, after as much time as it takes until one is due."""
        self.revive()
        taken = self.pump.take()
        if taken is not None:
            self.pump.run(taken, self.chance.choice(self.instances))
        else:
            self.pump.jump()

    def pass_time(self, seconds: float) -> None:
        """Time passes, and what comes due is in the queues then."""
        self.clock.jump_to(self.clock.now() + timedelta(seconds=seconds))

    def timers(self, minutes: int) -> None:
        """The timers go off for so many minutes."""
        for _ in range(minutes):
            self.clock.jump_to(self.clock.now() + MINUTE)
            self.revive()
            app = self.instances[0].app
            app.sweep.order_due()
            app.subscriptions.keep_all()
            self.drain()

    # --- the beginning -------------------------------------------------------------------------

    def begin(self) -> None:
        """Connect, load, map, and sync for the first time."""
        story, entra = self.story, self.world.entra
        story.bms.set_switches(**{**Switches().as_json(), "rate_limit_on": False})
        story.admin.call("PUT", "/api/settings/bms", {**BMS_SETTINGS, "hourlyLimit": 1_000_000})
        self.clock.jump_to(self.clock.now() + MINUTE)  # until every instance knows the new limit
        self.limited = self.chance.random() < 0.4
        limit = A_HOLD if self.limited else NO_HOLD
        story.connect(DOMAIN, mode="application", holdLimit=limit)
        self.at = story.customers()
        made = self._population()
        story.load(made)
        entra.lose_notifications()
        first, second = self.at.first, self.at.second
        story.add_rule(Rule(self.group("staff"), 20, first))
        story.add_rule(Rule(self.group("leads"), 10, second, location=self.at.branch))
        story.add_rule(Rule(self.group("visitors"), 30, first, guests=True, nested=False))
        self.history = History(story.oracle, self.limited)
        self.departures = Departures()
        self.strangers_before = self.strangers()
        self.full_sync()
        story.oracle.settle(story.linked_first())
        self.history.begin()

    def strangers(self) -> list[Json]:
        """The contacts that fit nobody (R10)."""
        return [
            row
            for row in self.story.bms.contacts_json()
            if any(
                "xperson" in each["value"] or "stranger" in each["value"] for each in row["emails"]
            )
        ]

    def full_sync(self, kind: str = "full") -> Json:
        """A person orders a sync, and everything that follows from it happens."""
        admin = self.story.admin
        path = f"/api/connections/{self.story.connection}/sync"
        sync_id = admin.call("POST", path, {"kind": kind})["syncId"]
        self.drain()
        run: Json = admin.call("GET", f"/api/syncs/{sync_id}")
        return run

    def group(self, name: str) -> str:
        """A group's object id."""
        return f"00000000-0000-4000-8000-{GROUPS.index(name):012d}"

    def _population(self) -> Population:
        made = Population()
        members: dict[str, list[str]] = {name: [] for name in GROUPS}
        for number in range(9):
            user = self.user(number)
            made.users[user["id"]] = user
            members[("staff", "staff", "inner", "leads", "staff")[number % 5]].append(user["id"])
        members["staff"].append(self.group("inner"))
        members["visitors"].append(self.user(8)["id"])
        for day, name in enumerate(GROUPS, 1):
            made.groups[self.group(name)] = {
                "id": self.group(name),
                "displayName": name,
                "kind": "security",
                "createdDateTime": f"2024-03-{day:02d}T08:00:00Z",
                "members": members[name],
            }
        first, other = self.at.first, self.at.other
        made.contacts = [
            _contact(first, f"person0@{DOMAIN}"),
            _contact(other, f"person1@{DOMAIN}", is_active=False),
            _contact(first, f"person2@{DOMAIN}"),
            _contact(first, f"person2@{DOMAIN}", job_title="The other one"),
            _contact(first, "private@home.example", f"PERSON4@{DOMAIN}"),
            _contact(first, f"xperson3@{DOMAIN}"),
            _contact(other, "stranger@elsewhere.example", is_active=False),
        ]
        return made

    @staticmethod
    def user(number: int) -> Json:
        """Somebody with every field."""
        return {
            "id": f"10000000-0000-4000-8000-{number:012d}",
            "userPrincipalName": f"person{number}@{DOMAIN}",
            "mail": f"person{number}@{DOMAIN}",
            "displayName": f"Person {number}",
            "givenName": "Person",
            "surname": str(number),
            "accountEnabled": True,
            "userType": "Member",
            "jobTitle": "Clerk",
            "businessPhones": [f"+49 30 {number}"],
            "mobilePhone": f"+49 171 {number}",
        }

    # --- what happens --------------------------------------------------------------------------

    def look(self, *keys: str) -> None:
        """Show the oracle what has just changed in Entra."""
        self.story.look(*keys)
        self.history.changed()

    def rules_changed(self) -> None:
        """The oracle has the new rules."""
        self.history.changed()

    def edit(self, user: str, **members: Any) -> bool:
        """Somebody edits a user's contact in BMS; whether there is one."""
        story = self.story
        link = story.oracle.links.get(user)
        if link is None or link.key not in story.ids:
            return False
        contact_id = story.ids[link.key]
        if story.bms.find_contact(contact_id) is None:
            return False
        before = held(self._row(contact_id))
        story.bms.edit_contact(contact_id, **members)
        story.edited.add(contact_id)
        after = held(self._row(contact_id))
        touched = {
            "job_title": ("title",),
            "first_name": ("first",),
            "is_active": ("active",),
            "emails": ("default", "emails"),
            "phones": ("phones",),
        }
        names = [name for member in members for name in touched[member]]
        assert vars(before).keys() >= set(names)
        self.history.edited(link.key, {name: getattr(after, name) for name in names})
        return True

    def remove_in_bms(self, user: str) -> bool:
        """Somebody deletes a user's contact in BMS; whether there was one."""
        story = self.story
        link = story.oracle.links.get(user)
        if link is None or link.key not in story.ids:
            return False
        if story.bms.find_contact(story.ids[link.key]) is None:
            return False
        story.bms.remove_contact(story.ids[link.key])
        self.history.edited(link.key, None)
        return True

    def emails_with(self, user: str, typed: NewAddress) -> list[NewAddress]:
        """The addresses that a user's contact has in BMS now, and one that somebody types in."""
        story = self.story
        contact = story.bms.get_contact(story.ids[story.oracle.links[user].key])
        others = [each for each in contact.emails if each.value != typed.value]
        return [*(NewAddress(each.value, each.type_id, False) for each in others), typed]

    def change_rule(self, rule: Rule, **new: Any) -> None:
        """Change one rule by PUT."""
        story = self.story
        after = replace(rule, **new)
        story.admin.call("PUT", f"/api/mapping-rules/{rule.id}", story.rule_body(after))
        story.oracle.rules[story.oracle.rules.index(rule)] = after

    def _row(self, contact_id: int) -> Json:
        return next(row for row in self.story.bms.contacts_json() if row["id"] == contact_id)

    # --- whether it came out right -------------------------------------------------------------

    def comes_to_rest(self) -> None:
        """No more faults; what waits is delivered and worked off, and the timers go off."""
        for service in (self.world.entra, self.world.bms, self.world.vault):
            service.clear_faults()
        for each in self.instances:
            each.fate.spare()
        self.revive()
        self.world.entra.switch(**NOTHING_ODD)
        self.pass_time(30)  # longer than anything lags
        self.world.entra.deliver_now()
        self.drain()
        self.timers(2)

    def differences(self, *, coupled: bool) -> list[str]:
        """What BMS holds against the oracle; `coupled`: users took part who share an address."""
        story = self.story
        story.oracle.held = self.held()
        if not coupled:
            rows = {row["id"]: row for row in story.bms.contacts_json()}
            self.history.follow(rows, story.ids)
        story.oracle.settle(story.linked_first())
        found = story.differences()
        if not found:
            self.history.begin()
        return found

    def held(self) -> set[str]:
        """Who leaves or moves only by a person's word (R20)."""
        latest: dict[str, str] = {}
        for hold in self.story.admin.items("/api/holds", connectionId=self.story.connection):
            for one in hold["users"]:
                latest.setdefault(one["userId"], one["state"])
        return {user for user, state in latest.items() if state in STILL_HELD}

    def leave_too_many(self) -> int:
        """How many more were deactivated within a day than the limit allows (R20)."""
        self.departures.read(self.story.bms.writes(self.departures.last), self.clock.now())
        return self.departures.within_a_day(self.clock.now()) - FEW_LEAVE if self.limited else 0

    def links_differ(self) -> list[str]:
        """What the app remembers against the oracle."""
        story = self.story
        records = story.admin.items("/api/records", connectionId=story.connection, limit="200")
        shown = {row["userId"]: row for row in records}
        found = []
        for user, link in story.oracle.links.items():
            state = "active" if link.in_scope else "inactive"
            row = shown.get(user)
            if row is None or (row["state"], row["recordId"]) != (state, story.ids[link.key]):
                found.append(f"{user}: {row} instead of {state} {story.ids[link.key]}")
        active = [row["recordId"] for row in records if row["state"] == "active"]
        found += [f"record {each} twice" for each in set(active) if active.count(each) > 1]
        conflicts = {one["userId"] for one in story.admin.items("/api/conflicts", state="open")}
        if conflicts != story.oracle.conflicts:
            found.append(f"conflicts {sorted(conflicts)} not {sorted(story.oracle.conflicts)}")
        return found


def _contact(account: int, *emails: str, **more: Any) -> Json:
    return {
        "account_id": account,
        "first_name": "Typed",
        "last_name": "By hand",
        "emails": [
            {"value": each, "type": 11, "is_default": not place}
            for place, each in enumerate(emails)
        ],
        "phones": [{"value": "+1 555 1", "type": 24, "is_default": True}],
        **more,
    }
