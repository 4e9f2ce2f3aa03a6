"""Random sequences of everything that can happen to one small customer, against the oracle.

An epoch is what happens between two moments of rest. Within it anything may come in any order:
changes in Entra, edits in BMS and of rules, lost and doubled notifications, deaths, faults. Users
who share an address are the exception: who comes first decides there (R9), so such a change has
the epoch to itself, with the deaths and faults around it.
"""

from __future__ import annotations

from hypothesis.stateful import invariant

from tests.torture.hands import Hands
from tests.torture.mishaps import Mishaps
from tests.torture.people import People
from tests.torture.steps import step


class Model(People, Hands, Mishaps):
    """All of it, and what must hold at every step and at rest."""

    # --- at rest -------------------------------------------------------------------------------

    @step()
    def rest(self) -> None:
        """Everything settles, and BMS is what the oracle says."""
        self.tenant.comes_to_rest()
        if self.message_lost:
            self._full_sync_is_done()
            self.tenant.comes_to_rest()
        self.must_be_empty("BMS", self.tenant.differences(coupled=self.coupled))
        self.must_be_empty("links and conflicts", self.tenant.links_differ())
        self.must_be_empty("failures", self.story.admin.items("/api/failures"))
        connection = self.story.admin.call("GET", f"/api/connections/{self.story.connection}")
        waits = self.story.admin.items("/api/holds", state="open")
        if connection["state"] != ("attention" if waits else "connected"):
            self.must_be_empty("connection", [connection["reason"]])
        self.coupled = self.changed = self.message_lost = False

    def teardown(self) -> None:
        """At the end a full sync finds nothing to do."""
        if not hasattr(self, "tenant"):
            return
        self.rest()
        self.bms.clear_counters()
        self._full_sync_is_done()
        self.must_be_empty("writes at the end", self.bms.writes())

    def _full_sync_is_done(self) -> None:
        run = self.tenant.full_sync()
        if (run["state"], run["failed"]) != ("done", 0):
            self.must_be_empty("full sync", [run])

    @invariant()
    def nothing_is_ever_deleted_r16(self) -> None:
        if hasattr(self, "tenant"):
            assert self.story.nobody_was_deleted(), self.trace

    @invariant()
    def strangers_are_never_touched_r10(self) -> None:
        if hasattr(self, "tenant"):
            assert self.tenant.strangers() == self.tenant.strangers_before, self.trace

    @invariant()
    def no_more_leave_than_the_limit_allows_r20(self) -> None:
        if hasattr(self, "tenant"):
            self.must_be_empty("too many left", range(self.tenant.leave_too_many()))

    def check_all(self) -> None:
        """Everything that must hold at every step."""
        self.nothing_is_ever_deleted_r16()
        self.strangers_are_never_touched_r10()
        self.no_more_leave_than_the_limit_allows_r20()
