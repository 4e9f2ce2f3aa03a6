"""A customer with one large group, one small one, and the limits of R20 as they are by default."""

from __future__ import annotations

import random
from collections.abc import Mapping

from infra.local.world import World
from tests.stories.oracle import Rule
from tests.stories.population import Json, Population
from tests.stories.story import BMS_SETTINGS
from tests.torture.front import Front
from tests.torture.possible import History
from tests.torture.tenant import DOMAIN, MINUTE, Tenant

FEW = 20  # people of the small group


class Crowd(Tenant):
    """Everybody is in `staff`, but for a few in `leads`."""

    def __init__(
        self, world: World, front: Front, environment: Mapping[str, str], *, people: int
    ) -> None:
        self._people = people
        super().__init__(world, front, environment, random.Random(people))

    def begin(self) -> None:
        """Connect, map both groups to one account, and sync."""
        story = self.story
        story.bms.set_switches(rate_limit_on=False)
        story.admin.call("PUT", "/api/settings/bms", {**BMS_SETTINGS, "hourlyLimit": 1_000_000})
        self.clock.jump_to(self.clock.now() + MINUTE)
        story.connect(DOMAIN, mode="application")
        self.at = story.customers()
        made = Population()
        for number in range(self._people + FEW):
            user = self.user(number)
            made.users[user["id"]] = user
        self.many = [*made.users][: self._people]
        self.few = [*made.users][self._people :]
        for day, (name, members) in enumerate((("staff", self.many), ("leads", self.few)), 1):
            made.groups[self.group(name)] = {
                "id": self.group(name),
                "displayName": name,
                "kind": "security",
                "createdDateTime": f"2024-03-{day:02d}T08:00:00Z",
                "members": members,
            }
        story.load(made)
        self.world.entra.lose_notifications()
        for name in ("staff", "leads"):
            story.add_rule(Rule(self.group(name), 20, self.at.first))
        self.history = History(story.oracle)
        run = self.full_sync()
        assert (run["state"], run["done"]) == ("done", self._people + FEW), run
        story.oracle.settle()
        assert story.differences() == []

    # --- what happens --------------------------------------------------------------------------

    def leave(self, *users: str, group: str = "staff", notified: bool = True) -> None:
        """These people are taken out of a group, and the app hears of it."""
        self.world.entra.remove_members(self.story.tenant, self.group(group), users)
        if not notified:
            self.world.entra.lose_notifications()
        self.hears()

    def join(self, *users: str, group: str = "staff") -> None:
        """These people come into a group, and the app hears of it."""
        self.world.entra.add_members(self.story.tenant, self.group(group), users)
        self.hears()

    def hears(self) -> None:
        """Notifications come, and everything that follows from them happens."""
        self.world.entra.deliver_now()
        self.drain()
        self.timers(1)

    def say(self, hold: Json, word: str, users: list[str] | None = None) -> Json:
        """A person decides."""
        body = {"users": users} if users is not None else {}
        path = f"/api/holds/{hold['id']}/{word}"
        decided: Json = self.story.admin.call("POST", path, body)
        self.drain()
        return decided

    # --- what became of it ---------------------------------------------------------------------

    def inactive(self) -> set[str]:
        """The users whose contacts are inactive in BMS."""
        by_id = {self.story.contact_id(user): user for user in (*self.many, *self.few)}
        rows = self.story.bms.contacts_json(is_active=False)
        return {by_id[row["id"]] for row in rows if row["id"] in by_id}

    def held(self) -> set[str]:
        """The users who wait for a person in open holds."""
        return {
            one["userId"]
            for hold in self.story.admin.items("/api/holds", state="open")
            for one in hold["users"]
            if one["state"] == "waiting"
        }

    def the_hold(self) -> Json:
        """The one hold that is open."""
        (hold,) = self.story.admin.items("/api/holds", state="open")
        return hold

    def standing(self) -> tuple[str, str]:
        """The connection's state and reason."""
        connection = self.story.admin.call("GET", f"/api/connections/{self.story.connection}")
        return connection["state"], connection["reason"] or ""
