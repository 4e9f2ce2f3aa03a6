"""One message of user deltas while it is worked on: what was read, decided, and is left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.employee_decision import AnyStep
from shared.core.employee_fields import WantedEmployee
from shared.core.fields import WantedContact
from shared.core.messages import UserDelta
from shared.core.model import (
    Activity,
    Connection,
    EntraUser,
    FieldChange,
    Link,
    LinkState,
    MappingRule,
    Origin,
    Trace,
    UserId,
)
from shared.core.rules import Placement
from shared.errors import PersonMustAct, SyncError, TryLater
from shared.measures import correlation_id
from shared.ports import FRESH, Directory, Leaving, Now, Owner

# No write to BMS begins later than this after the claim was taken; a call ends within 64 s, all its
# tries together, so that a claim that has run out proves that its worker writes no more, with room
# for clocks that differ by half a minute.
CLAIM_USE = timedelta(seconds=45)
CLAIM_LIFE = timedelta(seconds=150)
# Seconds after which a signalled change that does not show yet is looked for again (graph.md 3.7).
LOOK_AGAIN = (3, 15, 60)
PARKED = timedelta(minutes=2)  # what waits for a person looks again so often


def wait_for_lock(left: timedelta) -> timedelta:
    """How long to leave a user alone whom another worker holds for so long yet.

    A living worker is done in a moment; one that takes long has probably died.
    """
    wait = timedelta(seconds=1 if CLAIM_LIFE - left < timedelta(seconds=10) else 15)
    return max(timedelta(seconds=1), min(wait, left))


@dataclass(frozen=True, slots=True)
class Told:
    """What was decided for one user, and the line for the activity where there is one."""

    kind: str
    reason: str
    activity: Activity | None = None


@dataclass(slots=True)
class Work:
    """Mutable on purpose: the four steps of a message fill it, and it dies with the message."""

    connection: Connection
    delta: UserDelta
    queue: str
    rules: Sequence[MappingRule]
    directory: Directory
    until: datetime
    now: Now
    began: datetime
    told: dict[UserId, Told] = field(default_factory=dict)
    later: dict[UserId, SyncError] = field(default_factory=dict)
    rest: list[UserId] = field(default_factory=list)  # no time left in this invocation
    again: list[UserId] = field(default_factory=list)  # signalled, but not to be seen yet
    doubted: list[UserId] = field(default_factory=list)  # two looks differ: looked at some times
    failed: dict[UserId, PersonMustAct] = field(default_factory=dict)  # refused by BMS
    undecided: set[UserId] = field(default_factory=set)  # wait, with nothing settled
    leavers: set[UserId] = field(default_factory=set)  # counted against the limit (R20)
    approvals: Mapping[UserId, Leaving] = field(default_factory=dict)  # with a preview (R20)
    approved: set[UserId] = field(default_factory=set)  # of these, whose decision is the approved
    links: dict[UserId, Link] = field(default_factory=dict)
    owners: dict[UserId, Owner | None] = field(default_factory=dict)  # of who returns
    users: dict[UserId, EntraUser] = field(default_factory=dict)
    wanted: dict[UserId, WantedContact] = field(default_factory=dict)
    placements: dict[UserId, Placement] = field(default_factory=dict)
    steps: dict[UserId, AnyStep] = field(default_factory=dict)
    employees: dict[UserId, WantedEmployee] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    wrote: bool = False  # BMS took at least one job

    @property
    def bulk(self) -> bool:
        """Whether many users are compared, so that BMS is not asked one by one (R6)."""
        return self.delta.origin in (Origin.FULL, Origin.RULES)

    @property
    def fresh(self) -> bool:
        """Whether BMS's share for fresh changes pays for it (R25)."""
        return self.queue == FRESH

    @property
    def leavers_elsewhere(self) -> int:
        """How many leavers that were read with these come in other messages (R20)."""
        own = set(self.delta.users) - self.approved
        mine = sum(1 for user in own if not self.link_of(user).hold)
        return max(0, self.delta.together - mine)

    def together_with(self, left: Sequence[UserId]) -> int:
        """What a message of those who are left has to know of the others' leaving (R20)."""
        if not (self.leavers or self.delta.together):
            return 0
        return self.leavers_elsewhere + len(self.leavers.union(left) - self.approved)

    def link_of(self, user: UserId) -> Link:
        """The user's link, or the beginning of one."""
        return self.links.get(user) or Link(self.connection.id, user, LinkState.PENDING)

    def named(self, link: Link) -> Link:
        """The link with the person's present names, by which a technician looks him up."""
        user = self.users.get(link.user_id)
        if user is None:
            return link
        address = self.wanted[link.user_id].email or link.address
        return replace(link, display_name=user.display_name, upn=user.upn, address=address)

    @property
    def decided(self) -> set[UserId]:
        """Who is done with: nothing of this message comes back for them."""
        left = {*self.later, *self.rest, *self.again, *self.failed, *self.undecided}
        return self.told.keys() - left

    def decide_again(self, user: UserId) -> None:
        """What this decision rested on is no longer so."""
        sentence = "This person was changed by somebody else meanwhile."
        self.later[user] = TryLater(sentence, timedelta(seconds=1), counts=False)
        self.told.pop(user, None)

    def take_back(self, user: UserId) -> None:
        """What was to be told of him is not so: somebody else has decided meanwhile."""
        self.activities = [one for one in self.activities if one.user_id != user]
        self.decide_again(user)

    def tell(
        self,
        user: UserId,
        kind: str,
        reason: str,
        link: Link | None,
        changes: tuple[FieldChange, ...] = (),
        notes: tuple[str, ...] = (),
        trace: Trace | None = None,
    ) -> None:
        """Add a line to the activity; `trace` where BMS was written."""
        entra = self.users.get(user)
        activity = Activity(
            at=self.now(),
            connection_id=self.connection.id,
            kind=kind,
            reason=reason,
            origin=self.delta.origin.value,
            user_id=user,
            display_name=entra.display_name if entra else (link.display_name if link else ""),
            record_id=link.record_id if link else None,
            rule_id=link.rule_id if link else None,
            changes=changes,
            notes=notes,
            signal_at=self.delta.signal_at,
            signal_is_upper_bound=self.delta.upper_bound,
            correlation_id=correlation_id(),
            sync_id=self.delta.sync,
            trace=trace,
        )
        self.activities.append(activity)
        self.told[user] = Told(kind, reason, activity)
