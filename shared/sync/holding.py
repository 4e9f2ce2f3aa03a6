"""Deactivations that wait for a person: raised, approved, refused, expired (R20).

The hold is for a person to read and decide; what a worker goes by is the mark on the link, which is
written under its etag like everything else there. A hold is raised by its rows first and the mark
second, and ends by the mark first and the rows second: a worker or a person who is interrupted in
between leaves somebody listed whose mark is not there, never a mark that no list shows. Both are
mended by the next look at the user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from shared.errors import BadInput, SyncError, TryLater
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
from shared.sync.connections import existing

LIFE = timedelta(days=7)
UNDOS = "undo"  # begins the last part of the id of a list of those whom undos keep
_TRIES = 6
_UNDECIDED = frozenset({"waiting", "refused", "expired"})


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person's word on a hold did. `busy`: written at this moment, to be decided again."""

    hold: Hold
    done: tuple[UserId, ...]
    not_waiting: tuple[UserId, ...]
    busy: tuple[UserId, ...] = ()


@dataclass(slots=True)
class _Marked:
    """What became of the links. `unsure`: listed, yet without a mark until now."""

    done: list[UserId]
    not_waiting: dict[UserId, str]  # and what their row says from now on
    busy: list[UserId]
    unsure: list[UserId]


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
        hold = self._open_one(connection.id)
        self.holds.put_people(hold, people)
        seen = self.holds.get(hold.id)
        if seen is None or seen.state != "open":
            self.holds.put(hold)  # the last of it was decided at this very moment
        self._tell(connection.id, seen=connection)
        return hold

    def unlisted(self, connection_id: ConnectionId, users: Sequence[UserId]) -> list[UserId]:
        """Those of these users who wait by their mark, but in no open hold that shows them."""
        listed: set[UserId] = set()
        for hold in self.holds.list(connection_id=connection_id, state="open"):
            found = self.holds.people(hold, users)
            listed.update(one.user_id for one in found if one.state == "waiting")
        left = [user for user in users if user not in listed]
        # Read anew: somebody may have decided since, and the mark changes before the list does.
        links = self.links.get_many(connection_id, left) if left else {}
        return [user for user in left if user in links and links[user].hold is HoldMark.WAITING]

    def back(self, connection_id: ConnectionId, users: Sequence[UserId]) -> None:
        """Nothing about these users waits any more: they are in scope again, or kept."""
        self._show(connection_id, dict.fromkeys(users, "back"))

    def approved_before(self, connection_id: ConnectionId, users: Sequence[UserId]) -> None:
        """They leave with a rule change whose numbers a person has confirmed meanwhile."""
        self._show(connection_id, dict.fromkeys(users, HoldMark.APPROVED.value))

    def kept(self, connection_id: ConnectionId, people: Sequence[HeldUser]) -> Hold:
        """List those whom a person's undo keeps, so that they can be decided again (R20).

        One list a day and connection, so that a message that comes twice adds nothing, and many
        single undos make one list.
        """
        now = self.now()
        hold = Hold(
            f"{connection_id}-{UNDOS}{now:%Y%m%d}", connection_id, now, now + LIFE, "decided"
        )
        self.holds.add(hold)
        self.holds.put_people(hold, people)
        return hold

    # --- a person decides ----------------------------------------------------------------------

    def approve(
        self, hold_id: str, users: Sequence[str] | None, *, expected: int | None = None
    ) -> Decided:
        """Deactivate all of the hold, or some; who was refused before may be approved now.

        `expected`: BadInput 409 when the word is about another number of people than that.
        """
        return self._decide(hold_id, users, expected, HoldMark.APPROVED)

    def refuse(
        self, hold_id: str, users: Sequence[str] | None, *, expected: int | None = None
    ) -> Decided:
        """Keep these records until their users are back in scope or a person decides again."""
        return self._decide(hold_id, users, expected, HoldMark.REFUSED)

    def listed(self, connection_id: str | None, state: str | None) -> list[Hold]:
        """Holds, newest first; BadInput 404 for a connection that there is not."""
        of = existing(self.connections, connection_id).id if connection_id else None
        return self.holds.list(connection_id=of, state=state)

    def _decide(
        self, hold_id: str, users: Sequence[str] | None, expected: int | None, mark: HoldMark
    ) -> Decided:
        hold, people = self._chosen(hold_id, users)
        if expected is not None and expected != len(people):
            raise BadInput(
                409,
                f"This hold is about {len(people)} people by now, not {expected} as you have seen: "
                "nothing was done. Look again, then decide.",
                field="expected",
            )
        marked = self._mark(hold.connection_id, people, mark)
        # Sent before the rows change: should it fail, everybody is still listed as waiting.
        looks = marked.done if mark is HoldMark.APPROVED else marked.unsure
        self._look_at(hold.connection_id, looks)
        states = {**marked.not_waiting, **dict.fromkeys(marked.done, mark.value)}
        changed = [one for one in people if states.get(one.user_id, one.state) != one.state]
        self.holds.put_people(hold, [replace(one, state=states[one.user_id]) for one in changed])
        self._close_when_decided(hold)
        self._show(hold.connection_id, states)
        self._tell(hold.connection_id)
        return Decided(
            self.holds.get(hold.id) or hold,
            tuple(marked.done),
            tuple(marked.not_waiting),
            tuple(marked.busy),
        )

    def _look_at(self, connection_id: ConnectionId, users: Sequence[UserId]) -> None:
        delta = UserDelta(connection_id, (), Origin.PERSON, signal_at=self.now())
        for message in pack(delta, users):
            self.queues.send(LEAVERS, encode_user_delta(message))

    def _chosen(self, hold_id: str, users: Sequence[str] | None) -> tuple[Hold, list[HeldUser]]:
        hold = self.holds.get(hold_id)
        if hold is None:
            raise BadInput(
                404, "There is no hold with this id: see the list of holds.", field="holdId"
            )
        people = self.holds.people(hold)
        if users is None:
            if hold.state != "open":
                raise BadInput(
                    409,
                    f"This hold is {hold.state}: name the users whom you decide again.",
                    field="users",
                )
            return hold, [one for one in people if one.state == "waiting"]
        wanted = {user.strip().lower() for user in users}
        unknown = wanted - {one.user_id for one in people}
        if unknown:
            raise BadInput(
                422,
                f"These users are not in the hold: {', '.join(sorted(unknown))}.",
                field="users",
            )
        return hold, [one for one in people if one.user_id in wanted]

    def _mark(
        self, connection_id: ConnectionId, people: Sequence[HeldUser], mark: HoldMark
    ) -> _Marked:
        """Write the mark on the links of those who still wait for it."""
        result = _Marked([], {}, [], [])
        left = {one.user_id: one for one in people}
        for _ in range(_TRIES):
            links = self.links.get_many(connection_id, list(left)) if left else {}
            saves: list[Link] = []
            busy: list[UserId] = []
            for user, one in list(left.items()):
                link = links.get(user)
                if link is None or not _may_be_marked(link, one):
                    del left[user]
                    result.not_waiting[user] = _without_mark(link, one)
                elif link.claim is not None and link.claim.until > self.now():
                    # Its worker would lose what it wrote to BMS: neither is stolen from the other.
                    busy.append(user)
                else:
                    saves.append(replace(link, hold=mark))
            for user in self.links.save(saves) if saves else ():
                del left[user]
                result.done.append(user)
                if links[user].hold is HoldMark.NONE:
                    result.unsure.append(user)
            if len(busy) == len(left):
                result.busy = busy
                return result
        raise TryLater("Users of this hold are being written just now.", timedelta(seconds=2))

    # --- what a person reads -------------------------------------------------------------------

    def _show(self, connection_id: ConnectionId, states: Mapping[UserId, str]) -> None:
        """Let every list that shows these users say so, unless it was decided for good."""
        for hold in self.holds.list(connection_id=connection_id) if states else ():
            after = [
                replace(one, state=states[one.user_id])
                for one in self.holds.people(hold, list(states))
                if one.state in _UNDECIDED and one.state != states[one.user_id]
            ]
            if after:
                self.holds.put_people(hold, after)
                self._close_when_decided(hold)

    def _close_when_decided(self, hold: Hold) -> None:
        if hold.state != "open" or self._waiting([hold]):
            return
        self.holds.put(replace(hold, state="decided"))
        if self._waiting([hold]):
            self.holds.put(hold)  # somebody was added at this very moment
        else:
            self._tell(hold.connection_id)

    def _waiting(self, holds: Iterable[Hold]) -> int:
        return len(
            {
                one.user_id
                for hold in holds
                for one in self.holds.people(hold)
                if one.state == "waiting"
            }
        )

    def _tell(self, connection_id: ConnectionId, *, seen: Connection | None = None) -> None:
        """How many wait, in the connection's troubles."""
        connection = seen or self.connections.get(connection_id)
        if connection is None:
            return
        waiting = self._waiting(self.holds.list(connection_id=connection_id, state="open"))
        if not waiting:
            troubles.clear(self.connections, connection_id, {trouble_texts.LEAVERS})
            # Counted once more: somebody may have been added meanwhile.
            waiting = self._waiting(self.holds.list(connection_id=connection_id, state="open"))
        if waiting:
            trouble = trouble_texts.too_many_leavers(waiting, connection.hold_limit, self.now())
            troubles.record(self.connections, connection_id, trouble, seen=seen)

    def _open_one(self, connection_id: ConnectionId) -> Hold:
        """The connection's open hold. Numbers tell two workers that both would begin one."""
        for _ in range(_TRIES):
            now = self.now()
            every = self.holds.list(connection_id=connection_id)
            for hold in every:
                if hold.state == "open" and hold.expires_at > now:
                    return hold
            number = 1 + max((_number(hold) for hold in every), default=0)
            hold = Hold(f"{connection_id}-{number}", connection_id, now, now + LIFE)
            if self.holds.add(hold):
                return hold
        raise TryLater("Holds of this connection are being raised by others just now.")

    # --- the timer -----------------------------------------------------------------------------

    def expire(self) -> int:
        """End holds that nobody decided, without acting; the next full sync raises them again."""
        ended = 0
        failed: SyncError | None = None
        for hold in self.holds.list(state="open"):
            if hold.expires_at > self.now():
                continue
            try:
                ended += self._expire(hold)
            except SyncError as error:
                failed = error  # the others end all the same
        if failed is not None:
            raise failed
        return ended

    def _expire(self, hold: Hold) -> int:
        people = self.holds.people(hold)
        waiting = {one.user_id: one for one in people if one.state == "waiting"}
        marked = self._mark(hold.connection_id, list(waiting.values()), HoldMark.EXPIRED)
        states = {**marked.not_waiting, **dict.fromkeys(marked.done, HoldMark.EXPIRED.value)}
        self.holds.put_people(
            hold, [replace(waiting[user], state=state) for user, state in states.items()]
        )
        self._look_at(hold.connection_id, marked.unsure)
        if marked.busy:
            return 0  # the next time
        self.holds.put(replace(hold, state="expired"))
        self._tell(hold.connection_id)
        return 1


def _may_be_marked(link: Link, one: HeldUser) -> bool:
    """Whether a decision on this row still concerns his record.

    A row that waits without a mark was written a moment ago, or left over by a worker that died:
    the mark is set all the same, and the look that follows acts on it or takes it off.
    """
    if link.hold is not HoldMark.NONE:
        return True
    return one.state == "waiting" and link.record_id is not None and not _is_over(link)


def _is_over(link: Link) -> bool:
    return link.state is LinkState.INACTIVE and link.old_record_id is None


def _without_mark(link: Link | None, one: HeldUser) -> str:
    if one.state != "waiting":
        return one.state
    return HoldMark.APPROVED.value if link is not None and _is_over(link) else "back"


def _number(hold: Hold) -> int:
    tail = hold.id.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0
