"""Decide and act for the users of one message: gather, decide, make jobs, have them done.

For each user the link is read first and Entra second, so that a claim on the unchanged link proves
that nobody decided from a newer look meanwhile (R22). Most users end at the first step of the
decision; the others get a job (seeking, acting). What came of it is in the work; where its message
goes from here is the caller's (apply), who may also be somebody that only asks what would come of
it (rehearsing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from shared.core import trouble_texts
from shared.core.decision import (
    Compare,
    FinishMove,
    Forget,
    Hold,
    Nothing,
    Relabel,
    Remember,
    Seek,
    Step,
    TakeOut,
    Wait,
)
from shared.core.employee_decision import AnyStep, EmployeeStep, leaving_kind
from shared.core.matching import addresses
from shared.core.messages import UserDelta
from shared.core.model import (
    Connection,
    HoldMark,
    Link,
    UserId,
)
from shared.errors import SyncError, TryLater
from shared.ports import (
    FRESH,
    Conflicts,
    Connections,
    Directories,
    Directory,
    Links,
    Look,
    Now,
    Owners,
    Rules,
)
from shared.sync import troubles
from shared.sync.acting import Acting
from shared.sync.approvals import Approvals, is_approved
from shared.sync.contact_jobs import Change, Deactivate, EndMove, Job
from shared.sync.employee_acting import EmployeeActing
from shared.sync.employee_gathering import GatherEmployees
from shared.sync.finding import Sought
from shared.sync.holding import Holding
from shared.sync.holding_back import HoldingBack
from shared.sync.next_steps import (
    doubtful_groups,
    next_steps,
    placed,
    still_theirs,
    unreadable_groups,
)
from shared.sync.replicas import not_seen_yet, without_doubtful
from shared.sync.seeking import Seeking
from shared.sync.work import Told, Work, wait_for_lock

_FRESH_SLICE = timedelta(seconds=60)
_BULK_SLICE = timedelta(seconds=20)  # a bulk message ends soon and hands its rest on


class OpenedLate:
    """A directory that is opened when it is first asked."""

    def __init__(self, open_it: Callable[[], Directory]) -> None:
        self._open_it = open_it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._open_it(), name)


@dataclass(frozen=True)
class Deciding:
    """Decides and acts."""

    connections: Connections
    rules: Rules
    links: Links
    owners: Owners
    conflicts: Conflicts
    directories: Directories
    approvals: Approvals
    holding_back: HoldingBack
    holding: Holding
    seeking: Seeking
    acting: Acting
    employees: GatherEmployees
    employee_acting: EmployeeActing
    now: Now

    def begin(self, connection: Connection, delta: UserDelta, queue: str) -> Work:
        """The work of one message, with the rules that decisions use."""
        return Work(
            connection=connection,
            delta=delta,
            queue=queue,
            rules=self.rules.live(connection.id, connection.live_rules),
            directory=self._directory(connection, delta),
            until=self.now() + (_FRESH_SLICE if queue == FRESH else _BULK_SLICE),
            now=self.now,
            began=self.now(),
        )

    def _directory(self, connection: Connection, delta: UserDelta) -> Directory:
        """Opened at once, but for an undo, which hardly ever asks Entra."""
        if delta.lines:
            return cast("Directory", OpenedLate(lambda: self.directories.open(connection)))
        return self.directories.open(connection)

    def run(self, work: Work) -> None:
        """Do it; what could not be done is in the work. Raises for trouble with the whole."""
        looks = self._gather(work)
        decided = without_doubtful(work, self._decide(work, looks))
        decided = self.employees.withdraw(work, decided)
        decided = still_theirs(self.owners, work, decided)
        work.approved = {
            user
            for user, step in decided.items()
            if (kind := leaving_kind(step)) is not None
            and is_approved(work.approvals, work.link_of(user), kind)
        }
        steps = self.holding_back.of(work, decided)
        work.steps.update(steps)
        contacts, employees = _apart(steps)
        self.acting.act(work, self._jobs(work, contacts))
        self.employee_acting.act(work, employees)

    def spend_approvals(self, work: Work) -> None:
        """Who was decided has used up what was approved for him, whatever came of it (R20)."""
        self.approvals.spend(work.connection, work.approvals.keys() & work.decided)

    # --- gather ------------------------------------------------------------------------------

    def _gather(self, work: Work) -> dict[UserId, Look]:
        """Links first, Entra second (R22).

        Who had no link when he was compared has none now, or his claim, which makes it, is refused.
        """
        now = self.now()
        users = list(dict.fromkeys(work.delta.users))
        if not work.delta.unlinked:
            work.links = self.links.get_many(work.connection.id, users)
        work.approvals = self.approvals.of(work.connection, work.links.keys())
        free = []
        for user in users:
            link = work.links.get(user)
            if link is not None and link.claim is not None and link.claim.until > now:
                wait = wait_for_lock(link.claim.until - now)
                work.later[user] = TryLater(
                    "This person is being written just now.", wait, counts=False
                )
            else:
                free.append(user)
        enabled = [rule for rule in work.rules if rule.enabled]
        groups = sorted({rule.group_id for rule in enabled})
        direct = any(not rule.include_nested for rule in enabled)
        looks: dict[UserId, Look] = {}
        for user, look in work.directory.look(free, groups, direct=direct).items():
            if isinstance(look, SyncError):
                work.later[user] = look
            else:
                looks[user] = look
        return looks

    # --- decide ------------------------------------------------------------------------------

    def _decide(self, work: Work, looks: dict[UserId, Look]) -> dict[UserId, AnyStep]:
        unreadable = unreadable_groups(work, doubtful_groups(work, looks))
        if unreadable:
            troubles.record(
                self.connections,
                work.connection.id,
                trouble_texts.unreadable_groups(sorted(unreadable), self.now()),
                seen=work.connection,
            )
        work.placements.update(placed(work, looks, unreadable))
        by_api = self.employees.wanted(work, work.placements)
        return next_steps(work, looks, work.placements, by_api=by_api)

    # --- act: what needs no claim at once, the rest as jobs --------------------------------------

    def _jobs(self, work: Work, steps: dict[UserId, Step]) -> list[Job]:
        jobs: list[Job] = []
        saves: list[Link] = []
        gone: list[Link] = []
        sought: list[Sought] = []
        back: list[UserId] = []
        settled: list[UserId] = []
        for user, step in steps.items():
            link = work.links.get(user)
            if link is not None and _settles(step):
                settled += [user] if link.in_conflict else []
                back += [user] if link.hold else []
            match step:
                case Nothing() | Wait():
                    work.told[user] = Told("nothing", step.reason)
                    if isinstance(step, Wait):
                        work.undecided.add(user)
                    if link is not None and (link.hold or link.in_conflict or link.refused):
                        saves.extend(_nothing_waits(link, step))
                    if not_seen_yet(work, link):
                        work.again.append(user)
                case Hold():
                    work.tell(user, "hold", step.reason, link)
                    held = replace(work.link_of(user), hold=HoldMark.WAITING, refused=False)
                    held = replace(held, reason=step.reason)
                    saves.append(replace(held, updated_at=self.now(), claim=None))
                case Forget():
                    work.told[user] = Told("nothing", "is in no mapped group")
                    gone += [link] if link is not None else []
                case Remember():
                    saves.extend(self._remember(work, user, step, link))
                case Relabel():
                    work.told[user] = Told("nothing", "another rule wins; BMS stays the same")
                    link_after = replace(work.link_of(user), in_conflict=False, refused=False)
                    link_after = replace(link_after, hold=HoldMark.NONE, claim=None)
                    saves.append(replace(link_after, rule_id=step.rule.id))
                case Seek():
                    keys = addresses(work.users[user], work.connection.email_source)
                    sought.append(Sought(user, tuple(keys), step))
                case Compare():
                    jobs.append(
                        Change(
                            work.link_of(user),
                            step.rule,
                            work.wanted[user],
                            step.record_id,
                            step.reason,
                            step.set_location,
                            step.location_only,
                            step.returning,
                            work.owners.get(user),
                        )
                    )
                case FinishMove():
                    jobs.append(EndMove(work.link_of(user), step.reason))
                    work.decide_again(user)
                case TakeOut():
                    jobs.append(Deactivate(work.link_of(user), step.record_id, step.reason))
        if saves:
            saved = self.links.save([work.named(link) for link in saves])
            for link in saves:
                if link.user_id not in saved:
                    work.take_back(link.user_id)
        back = [user for user in back if user not in work.later]
        if back:
            self.holding.back(work.connection.id, back)
        if gone:
            self.links.remove(gone)
        for user in settled:
            self.conflicts.settle(work.connection.id, user)
        if sought:
            jobs.extend(self.seeking.jobs(work, sought))
        return jobs

    def _remember(
        self, work: Work, user: UserId, step: Remember, link: Link | None
    ) -> Iterable[Link]:
        if link is not None and link.state is step.state and link.reason == step.reason:
            work.told[user] = Told(step.kind, step.reason)
            return []
        work.tell(user, step.kind, step.reason, link)
        base = work.link_of(user)
        return [
            replace(
                base,
                state=step.state,
                reason=step.reason,
                hold=HoldMark.NONE,
                in_conflict=False,
                refused=False,
                fingerprint=base.fingerprint if step.keep_fingerprint else "",
                updated_at=self.now(),
                claim=None,
            )
        ]


def _apart(
    steps: dict[UserId, AnyStep],
) -> tuple[dict[UserId, Step], dict[UserId, EmployeeStep]]:
    """What contacts need, or nobody; and what employees need."""
    contacts: dict[UserId, Step] = {}
    employees: dict[UserId, EmployeeStep] = {}
    for user, step in steps.items():
        if isinstance(step, EmployeeStep):
            employees[user] = step
        else:
            contacts[user] = step
    return contacts, employees


def _nothing_waits(link: Link, step: Nothing | Wait) -> Iterable[Link]:
    """The link without what waited for a person, where that is settled by itself."""
    if isinstance(step, Nothing):
        yield replace(link, in_conflict=False, hold=HoldMark.NONE, refused=False)


def _settles(step: Step) -> bool:
    """Whether neither a hold nor a conflict is left, and no job that says so follows."""
    return isinstance(step, Nothing | Forget | Remember | Relabel)
