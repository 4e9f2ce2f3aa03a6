"""What happens in Entra, and by hand in BMS, after the first sync: one change for each person.

A person is changed once in a wave, and a move between groups adds before it removes: then the end
state does not depend on how often the app looks in between (R22).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from infra.local.bms.control_values import NewAddress
from tests.stories.population import DOMAIN, Json, Population
from tests.stories.story import Story


class NobodyLeft(LookupError):
    """Everybody has had his change in this wave."""


class Changes:
    """Chooses people by chance and lets things happen to them."""

    def __init__(self, story: Story, made: Population, chance: random.Random) -> None:
        self.story, self.made, self.chance = story, made, chance
        self._entra, self._tenant = story.entra, story.tenant
        self._used = {user for some in made.shared for user in some}
        self._hired = 0
        self.deleted: list[str] = []
        self.blocked: list[str] = []
        self.left: list[tuple[str, str]] = []
        self.guests: list[str] = []

    # Choosing

    def group(self, place: int) -> str:
        """A group by its place."""
        return self.made.ids[place]

    def pick(
        self,
        fits: Callable[[Json], Any] = lambda user: True,
        *,
        linked: bool = True,
        single: bool = False,
        keep: bool = False,
    ) -> str:
        """An active linked member who was not used yet; `single`: of just one steady group."""
        oracle = self.story.oracle
        for user_id in self._shuffled(oracle.links if linked else oracle.users):
            user = oracle.users.get(user_id)
            link = oracle.links.get(user_id)
            if user is None or user_id in self._used or not fits(user):
                continue
            if linked and (link is None or not link.in_scope or link.key not in oracle.contacts):
                continue
            if single and len(self._groups_of(user_id)) != 1:
                continue
            if self._moving(user_id):
                continue
            if not keep:
                self._used.add(user_id)
            return user_id
        raise NobodyLeft("Nobody is left for this change.")

    def _shuffled(self, ids: Any) -> Iterator[str]:
        every = sorted(ids)
        self.chance.shuffle(every)
        return iter(every)

    def _groups_of(self, user: str) -> list[str]:
        return [key for key, group in self.story.oracle.groups.items() if user in group["members"]]

    def _moving(self, user: str) -> bool:
        # Whole groups are nested and taken out below; their people have had their change then.
        moving = {self.group(place) for place in (2, 3, 18)}
        return not moving.isdisjoint(self._groups_of(user))

    def release(self) -> None:
        """Let the people of the last wave be chosen again."""
        self._used = {user for some in self.made.shared for user in some}

    # In BMS, by hand

    def edit_by_hand(self, user: str, kind: str) -> None:
        """Somebody edits the contact in BMS's pages (R12, R13)."""
        contact = self.story.bms.get_contact(self.story.contact_id(user))
        emails = [NewAddress(e.value, e.type_id, e.is_default) for e in contact.emails]
        phones = [NewAddress(p.value, p.type_id, p.is_default) for p in contact.phones]
        fax = NewAddress(f"+1 900 {self.chance.randrange(10**6)}", 24, not phones)
        typed = [NewAddress("hand@home.example", 12, True)]
        demoted = [NewAddress(e.value, e.type, False) for e in emails]
        edits: dict[str, dict[str, Any]] = {
            "title": {"job_title": "Typed in BMS"},
            "name": {"first_name": "Typed"},
            "inactive": {"is_active": False},
            "fax": {"phones": [*phones, fax]},
            "phone": {"phones": [NewAddress("+1 901 1", 21, True), NewAddress("+1 901 2", 22)]},
            "no_phone": {"phones": []},
            "email": {"emails": [*demoted, *typed]},
            "only_email": {"emails": typed},
        }
        self.story.edit(user, **edits[kind])

    # In Entra

    def update(self, user: str, **props: Any) -> None:
        """Change a user and let the oracle see it."""
        self._entra.update_user(self._tenant, user, **props)
        self.story.look(user)

    def happen(self, kind: str, user: str | None = None) -> None:
        """One change of this kind, to this person or to somebody by chance."""
        n = self.chance.randrange(10**6)
        plain: dict[str, tuple[Callable[[Json], Any], Json]] = {
            "rename": (bool, {"givenName": f"Ðora {n}", "displayName": f"Ðora {n} X"}),
            "marry": (
                bool,
                {
                    "surname": f"Née-{n}",
                    "mail": f"wed{n}@{DOMAIN}",
                    "userPrincipalName": f"wed.upn{n}@{DOMAIN}",
                },
            ),
            "mail": (bool, {"mail": f"New.Mail{n}@{DOMAIN}"}),
            "no_mail": (lambda u: u.get("mail"), {"mail": None}),
            "title": (bool, {"jobTitle": f"Title {n}"}),
            "no_title": (lambda u: u.get("jobTitle"), {"jobTitle": None}),
            "no_work": (lambda u: u.get("businessPhones"), {"businessPhones": []}),
            "no_mobile": (lambda u: u.get("mobilePhone"), {"mobilePhone": None}),
            "work": (bool, {"businessPhones": [f"+44 20 {n}"]}),
            "mobile": (bool, {"mobilePhone": f"+44 77 {n}"}),
            "no_names": (lambda u: u.get("givenName"), {"givenName": None, "surname": None}),
            "display": (lambda u: u.get("givenName") and u.get("surname"), {"displayName": "Y Z"}),
            "department": (bool, {"department": f"D{n}"}),
        }
        if kind in plain:
            fits, props = plain[kind]
            self.update(user or self.pick(fits), **props)
        else:
            getattr(self, f"_{kind}")()

    def hire(self, place: int, **props: Any) -> str:
        """A new person, who becomes a member of a group."""
        self._hired += 1
        upn = f"hired{self._hired}@{DOMAIN}"
        given = {"mail": upn, "displayName": f"Hired {self._hired}", **props}
        user = self._entra.add_user(self._tenant, upn, **given)
        self._entra.add_member(self._tenant, self.group(place), user)
        self._used.add(user)
        self.story.look(user, self.group(place))
        return user

    def _hire(self) -> None:
        self.hire(self.chance.choice((1, 4, 5, 8, 12, 13, 14, 16)))

    def _block(self) -> None:
        user = self.pick()
        self.blocked.append(user)
        self.update(user, accountEnabled=False)

    def _unblock(self) -> None:
        user = self.pick(lambda u: u["accountEnabled"] is False, linked=False)
        self.update(user, accountEnabled=True)

    def _soft_delete(self) -> None:
        user = self.pick()
        self.deleted.append(user)
        self._entra.soft_delete(self._tenant, user)
        self.story.look(user)

    def _hard_delete(self) -> None:
        user = self.pick()
        self._entra.hard_delete(self._tenant, user)
        self.story.look(user)

    def _leave(self) -> None:
        user = self.pick(single=True)
        (group,) = self._groups_of(user)
        self.left.append((user, group))
        self._entra.remove_member(self._tenant, group, user)
        self.story.look(group)

    def _move(self) -> None:
        user = self.pick(single=True)
        (group,) = self._groups_of(user)
        other = self.group(self.chance.choice((0, 4, 5, 7, 8, 12, 13)))
        if other == group:
            return
        self._entra.add_member(self._tenant, other, user)
        self._entra.remove_member(self._tenant, group, user)
        self.story.look(group, other)

    def _to_guest(self) -> None:
        user = self.pick(lambda u: u["userType"] == "Member")
        self.guests.append(user)
        self.update(user, userType="Guest")

    def _to_member(self) -> None:
        user = self.pick(lambda u: u["userType"] == "Guest", linked=False)
        self.update(user, userType="Member")

    def _no_address(self) -> None:
        # A guest whom a rule takes, and who has lost his only address (R4).
        user = self.pick(lambda u: u["userType"] == "Guest" and "proxyAddresses" not in u)
        self.update(user, mail=None, proxyAddresses=[])

    def nest(self, outer: int, inner: int, nested: bool = True) -> None:
        """Put a group into another one, or take it out."""
        change = self._entra.add_member if nested else self._entra.remove_member
        change(self._tenant, self.group(outer), self.group(inner))
        self.story.look(self.group(outer))
