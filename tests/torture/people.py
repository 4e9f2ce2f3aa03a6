"""What happens to people in Entra, one by one or to several who share an address (R9)."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from tests.torture.steps import Steps, place, some_group, step
from tests.torture.tenant import DOMAIN, SHARED


class People(Steps):
    """Changes in Entra."""

    # --- people in Entra -----------------------------------------------------------------------

    @precondition(lambda self: self.free())
    @step(group=some_group, guest=st.booleans(), blocked=st.booleans())
    def hire(self, group: str, guest: bool, blocked: bool) -> None:
        self._hire(group, guest=guest and not blocked, blocked=blocked)

    def _hire(
        self, group: str, mail: str = "", *, guest: bool = False, blocked: bool = False
    ) -> None:
        self.hired += 1
        user = self.tenant.user(100 + self.hired)
        user["accountEnabled"] = not blocked
        if mail:
            user["mail"] = mail
        if guest:
            user |= {"userType": "Guest", "userPrincipalName": f"g{self.hired}#EXT#@{DOMAIN}"}
        self.entra.add_user(self.in_entra, user.pop("userPrincipalName"), **user)
        self.look(user["id"])
        self.entra.add_member(self.in_entra, self.tenant.group(group), user["id"])
        self.look(self.tenant.group(group))

    @precondition(lambda self: self.free())
    @step(
        at=place,
        change=st.sampled_from(
            ("title", "no_title", "name", "no_name", "work", "no_work", "mobile", "mail", "office")
        ),
        value=st.integers(0, 3),
    )
    def change(self, at: int, change: str, value: int) -> None:
        user = self.pick(at)
        if user is None:
            return
        props: dict[str, dict[str, Any]] = {
            "title": {"jobTitle": f"Title {value}"},
            "no_title": {"jobTitle": None},
            "name": {"givenName": f"Name {value}", "surname": f"Née-{value}"},
            "no_name": {"givenName": None, "surname": None},
            "work": {"businessPhones": [f"+44 20 {user[-3:]}{value}"]},
            "no_work": {"businessPhones": []},
            "mobile": {"mobilePhone": f"+44 77 {user[-3:]}{value}"},
            "mail": {"mail": f"mail{value}.{user[-3:]}@{DOMAIN}"},
            "office": {"department": f"Room {value}"},
        }
        self.entra.update_user(self.in_entra, user, **props[change])
        self.look(user)

    @precondition(lambda self: self.free())
    @step(at=place, what=st.sampled_from(("block", "unblock", "guest", "member")))
    def turn(self, at: int, what: str) -> None:
        user = self.pick(at)
        if user is None:
            return
        props: dict[str, dict[str, Any]] = {
            "block": {"accountEnabled": False},
            "unblock": {"accountEnabled": True},
            "guest": {"userType": "Guest"},
            "member": {"userType": "Member"},
        }
        self.entra.update_user(self.in_entra, user, **props[what])
        self.look(user)

    @precondition(lambda self: self.free())
    @step(at=place, group=some_group)
    def join(self, at: int, group: str) -> None:
        user = self.pick(at)
        if user is not None:
            self.entra.add_member(self.in_entra, self.tenant.group(group), user)
            self.look(self.tenant.group(group))

    @precondition(lambda self: self.free())
    @step(at=place, back=place)
    def leave(self, at: int, back: int) -> None:
        user = self.pick(at)
        groups = [key for key, one in self.story.oracle.groups.items() if user in one["members"]]
        if user is not None and groups:
            group = groups[back % len(groups)]
            self.entra.remove_member(self.in_entra, group, user)
            self.look(group)

    @precondition(lambda self: self.free())
    @step(outer=some_group, inner=some_group)
    def nest_or_take_out(self, outer: str, inner: str) -> None:
        above, below = self.tenant.group(outer), self.tenant.group(inner)
        if above == below:
            return
        inside = below in self.story.oracle.groups[above]["members"]
        change = self.entra.remove_member if inside else self.entra.add_member
        change(self.in_entra, above, below)
        self.look(above)

    @precondition(lambda self: self.free())
    @step(at=place, hard=st.booleans())
    def delete(self, at: int, hard: bool) -> None:
        user = self.pick(at)
        if user is None or len(self.live()) < 4:
            return
        if hard:
            self.entra.hard_delete(self.in_entra, user)
        else:
            self.entra.soft_delete(self.in_entra, user)
            self.deleted.append(user)
        self.look(user, *self.story.oracle.groups)

    @precondition(lambda self: self.free() and self.deleted)
    @step(at=place)
    def restore(self, at: int) -> None:
        user = self.deleted.pop(at % len(self.deleted))
        self.entra.restore(self.in_entra, user)
        self.look(user, *self.story.oracle.groups)

    # --- users who share an address (R9) -------------------------------------------------------

    @precondition(lambda self: self.alone())
    @step(group=st.sampled_from(("staff", "leads")))
    def hire_with_a_shared_address(self, group: str) -> None:
        self.coupled = True
        self._hire(group, SHARED)

    @precondition(lambda self: self.alone())
    @step(one=place, other=place)
    def swap_addresses(self, one: int, other: int) -> None:
        users = self.live()
        first, second = users[one % len(users)], users[other % len(users)]
        mails = [self.story.oracle.users[user].get("mail") for user in (first, second)]
        if first == second or None in mails or mails[0] == mails[1]:
            return
        self.coupled = True
        for user, mail in ((first, mails[1]), (second, mails[0])):
            self.entra.update_user(self.in_entra, user, mail=mail)
            self.look(user)

    @precondition(lambda self: self.alone())
    @step(at=place)
    def take_the_shared_address(self, at: int) -> None:
        user = self.live()[at % len(self.live())]
        self.coupled = True
        self.entra.update_user(self.in_entra, user, mail=SHARED)
        self.look(user)
