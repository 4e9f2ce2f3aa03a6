"""What persons do: a technician edits contacts in BMS and rules in the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from infra.local.admin import Refused
from infra.local.bms.control_values import NewAddress
from tests.stories.oracle import Choice, Rule
from tests.torture.steps import Steps, place, some_group, step

MOST_RULES = 5


class Hands(Steps):
    """Work by hand."""

    # --- by hand in BMS ------------------------------------------------------------------------

    @precondition(lambda self: self.free())
    @step(
        at=place, kind=st.sampled_from(("title", "name", "inactive", "phones", "no_phone", "email"))
    )
    def edit_by_hand(self, at: int, kind: str) -> None:
        user = self.pick(at)
        if user is None or self.story.oracle.links.get(user) is None:
            return
        link = self.story.oracle.links[user]
        if link.key not in self.story.ids:
            return
        if self.bms.find_contact(self.story.ids[link.key]) is None:
            return
        typed = NewAddress(f"hand{user[-3:]}@home.example", 12, True)
        edits: dict[str, dict[str, Any]] = {
            "title": {"job_title": "Typed in BMS"},
            "name": {"first_name": "Typed"},
            "inactive": {"is_active": False},
            "phones": {"phones": [NewAddress("+1 901 1", 21, True), NewAddress("+1 901 2", 22)]},
            "no_phone": {"phones": []},
            "email": {"emails": self.tenant.emails_with(user, typed)},
        }
        if self.tenant.edit(user, **edits[kind]):
            self.changed = True

    # --- rules ---------------------------------------------------------------------------------

    def asks(self, wish: Callable[[], object]) -> None:
        """A technician asks for a change of rules, which may be refused; then nothing changes."""
        self.tenant.revive()
        self.changed = True
        try:
            wish()
        except Refused as refused:
            self.trace.append(("refused", {"because": str(refused)}))
            if refused.status == 500:
                raise
        else:
            self.tenant.rules_changed()

    @precondition(lambda self: self.free())
    @step(
        at=place,
        change=st.sampled_from(
            ("order", "account", "location", "nested", "guests", "blocked", "off")
        ),
        value=st.integers(0, 2),
    )
    def change_rule(self, at: int, change: str, value: int) -> None:
        rules, places = self.story.oracle.rules, self.tenant.at
        if not rules:
            return
        one = rules[at % len(rules)]
        account = (places.first, places.second, places.third)[value]
        new: dict[str, dict[str, Any]] = {
            "order": {"order": 5 + value * 13},
            "account": {"account": account, "location": None},
            "location": {
                "account": places.second,
                "location": (places.branch, places.depot, None)[value],
            },
            "nested": {"nested": not one.nested},
            "guests": {"guests": not one.guests},
            "blocked": {"blocked": "sync" if one.blocked == "leave" else "leave"},
            "off": {"enabled": not one.enabled},
        }
        self.asks(lambda: self.tenant.change_rule(one, **new[change]))

    @precondition(lambda self: self.free() and len(self.story.oracle.rules) < MOST_RULES)
    @step(group=some_group, order=st.integers(1, 40))
    def add_rule(self, group: str, order: int) -> None:
        one = Rule(self.tenant.group(group), order, self.tenant.at.third)
        self.asks(lambda: self.story.add_rule(one))

    @precondition(lambda self: self.free() and len(self.story.oracle.rules) > 1)
    @step(at=place)
    def remove_rule(self, at: int) -> None:
        rules = self.story.oracle.rules
        one = rules[at % len(rules)]

        def remove() -> None:
            self.story.admin.call("DELETE", f"/api/mapping-rules/{one.id}")
            rules.remove(one)

        self.asks(remove)

    @precondition(lambda self: self.free())
    @step(order=st.permutations((3, 6, 9, 12, 15)))
    def replace_all_rules(self, order: list[int]) -> None:
        after = [
            replace(one, order=new)
            for one, new in zip(self.story.oracle.rules, order, strict=False)
        ]
        self.asks(lambda: self.story.replace_rules(after))

    # --- what waits for a person ---------------------------------------------------------------

    @precondition(lambda self: self.tenant.limited)
    @step(word=st.sampled_from(("approve", "refuse")), only=st.integers(0, 5))
    def decide_on_a_hold(self, word: str, only: int) -> None:
        """All who wait, or one of them."""
        admin = self.story.admin
        for hold in admin.items("/api/holds", state="open"):
            waiting = [one for one in hold["users"] if one["state"] == "waiting"]
            if not waiting:
                continue
            self.tenant.revive()
            chosen = waiting if only == 0 else [waiting[only % len(waiting)]]
            if word == "approve":
                self.tenant.departures.approved |= {one["recordId"] for one in chosen}
            body = {} if only == 0 else {"users": [one["userId"] for one in chosen]}
            self.changed = True
            admin.call("POST", f"/api/holds/{hold['id']}/{word}", body)

    @precondition(lambda self: self.alone() and self.story.oracle.conflicts)
    @step(at=place, choice=st.sampled_from(("create", "ignore", "record")))
    def resolve_a_conflict(self, at: int, choice: str) -> None:
        story = self.story
        conflicts = sorted(
            story.admin.items("/api/conflicts", state="open"), key=lambda one: str(one["userId"])
        )
        if not conflicts:
            return
        one = conflicts[at % len(conflicts)]
        keys = {story.ids[key]: key for key in story.ids}
        owned = {link.key for link in story.oracle.links.values()}
        among = [keys[record] for record in one["recordIds"]]
        free = [key for key in among if key not in owned]
        if choice == "record" and not free:
            return  # to take a record from somebody else is a story of its own
        body: dict[str, Any] = {choice: True}
        chosen = Choice(frozenset(among), create=choice == "create")
        if choice == "record":
            body = {"recordId": story.ids[free[0]]}
            chosen = Choice(frozenset(among), key=free[0])
        self.tenant.revive()
        story.admin.call("POST", f"/api/conflicts/{one['id']}/resolve", body)
        story.oracle.choices[one["userId"]] = chosen
        self.changed = self.coupled = True
