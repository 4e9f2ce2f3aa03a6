"""Deactivations that wait for a person: raised, approved, refused, expired (R20).

The hold itself is for a person to read and decide; what a decision goes by is the mark on the link,
which is written under its etag like everything else there.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core import trouble_texts
from shared.core.messages import UserDelta, encode_user_delta, pack
from shared.core.model import (
    Connection,
    ConnectionId,
    HoldMark,
    Link,
    LinkState,
    Origin,
    UserId,
)
from shared.errors import BadInput, TryLater
from shared.ports import (
    LEAVERS,
    Connections,
    HeldUser,
    Hold,
    Holds,
    Links,
    Now,
    Queues,
)
from shared.sync import troubles

LIFE = timedelta(days=7)
_TRIES = 6
_UNDECIDED = {"waiting", "refused", "expired"}


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person's word on a hold did."""

    hold: Hold
    done: tuple[UserId, ...]
    not_waiting: tuple[UserId, ...]


@dataclass(frozen=True, slots=True)
class Holding:
    """The use cases of holds."""

    connections: Connections
    holds: Holds
    links: Links
    queues: Queues
    now: Now

    # --- raised by the sync --------------------------------------------------------------------

    def raise_for(self, connection: Connection, people: Sequence[HeldUser]) -> Hold:
        """Put these people into the connection's open hold, or into a new one."""
        now = self.now()
        hold = next(iter(self.holds.list(connection_id=connection.id, state="open")), None)
        if hold is None or hold.expires_at <= now:
            hold = Hold(f"{connection.id}-{secrets.token_hex(5)}", connection.id, now, now + LIFE)
            self.holds.put(hold)
        self.holds.put_people(hold, people)
        waiting = [one for one in self.holds.people(hold) if one.state == "waiting"]
        trouble = trouble_texts.too_many_leavers(len(waiting), connection.hold_limit, now)
        troubles.record(self.connections, connection.id, trouble, seen=connection)
        return hold

    def back(self, connection_id: ConnectionId, users: Sequence[UserId]) -> None:
        """These users are in scope again: nothing about them waits any more."""
        for hold in self.holds.list(connection_id=connection_id, state="open"):
            people = [one for one in self.holds.people(hold, users) if one.state in _UNDECIDED]
            if people:
                self.holds.put_people(hold, [replace(one, state="back") for one in people])
                self._close_when_decided(hold)

    # --- a person decides ----------------------------------------------------------------------

    def approve(self, hold_id: str, users: Sequence[str] | None) -> Decided:
        """Deactivate all of the hold, or some; who was refused before may be approved now."""
        hold, people = self._chosen(hold_id, users)
        decided = self._mark(hold, people, HoldMark.APPROVED)
        delta = UserDelta(hold.connection_id, (), Origin.PERSON, signal_at=self.now())
        for message in pack(delta, decided.done):
            self.queues.send(LEAVERS, encode_user_delta(message))
        return decided

    def refuse(self, hold_id: str, users: Sequence[str] | None) -> Decided:
        """Keep these records until their users are back in scope or a person decides again."""
        hold, people = self._chosen(hold_id, users)
        return self._mark(hold, people, HoldMark.REFUSED)

    def listed(
        self, connection_id: ConnectionId | None, state: str | None
    ) -> list[tuple[Hold, list[HeldUser]]]:
        """Holds with their people, newest first."""
        holds = self.holds.list(connection_id=connection_id, state=state)
        return [(hold, self.holds.people(hold)) for hold in holds]

    def _chosen(self, hold_id: str, users: Sequence[str] | None) -> tuple[Hold, list[HeldUser]]:
        hold = self.holds.get(hold_id)
        if hold is None:
            raise BadInput(404, "There is no hold with this id: see the list of holds.")
        people = self.holds.people(hold)
        if users is None:
            if hold.state != "open":
                raise BadInput(
                    409, f"This hold is {hold.state}: name the users whom you decide again."
                )
            return hold, [one for one in people if one.state == "waiting"]
        wanted = {user.lower() for user in users}
        unknown = wanted - {one.user_id for one in people}
        if unknown:
            raise BadInput(
                422,
                f"These users are not in the hold: {', '.join(sorted(unknown))}.",
                field="users",
            )
        return hold, [one for one in people if one.user_id in wanted and one.state in _UNDECIDED]

    def _mark(self, hold: Hold, people: Sequence[HeldUser], mark: HoldMark) -> Decided:
        done: list[UserId] = []
        other: list[UserId] = []
        after: list[HeldUser] = []
        for one in people:
            if self._mark_link(hold.connection_id, one.user_id, mark):
                done.append(one.user_id)
                after.append(replace(one, state=mark.value))
            else:
                other.append(one.user_id)
                after.append(replace(one, state="back"))
        self.holds.put_people(hold, after)
        return Decided(self._close_when_decided(hold), tuple(done), tuple(other))

    def _mark_link(self, connection_id: ConnectionId, user: UserId, mark: HoldMark) -> bool:
        """Whether he was still waiting to leave."""
        for _ in range(_TRIES):
            link: Link | None = self.links.get(connection_id, user)
            if link is None or link.state is not LinkState.ACTIVE or link.hold is HoldMark.NONE:
                return False
            if self.links.save([replace(link, hold=mark)]):
                return True
        raise TryLater("A user of this hold is being written just now.", timedelta(seconds=2))

    def _close_when_decided(self, hold: Hold) -> Hold:
        if hold.state == "open" and not any(
            one.state == "waiting" for one in self.holds.people(hold)
        ):
            hold = replace(hold, state="decided")
            self.holds.put(hold)
            troubles.clear(self.connections, hold.connection_id, {trouble_texts.LEAVERS})
        return hold

    # --- the timer -----------------------------------------------------------------------------

    def expire(self) -> int:
        """End holds that nobody decided, without acting; the next full sync raises them again."""
        ended = 0
        for hold in self.holds.list(state="open"):
            if hold.expires_at > self.now():
                continue
            waiting = [one for one in self.holds.people(hold) if one.state == "waiting"]
            self._mark(hold, waiting, HoldMark.EXPIRED)
            self.holds.put(replace(hold, state="expired"))
            troubles.clear(self.connections, hold.connection_id, {trouble_texts.LEAVERS})
            ended += 1
        return ended
