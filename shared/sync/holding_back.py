"""Leavers are counted before the first is written; too many at once wait for a person (R20)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.decision import Hold, TakeOut, Wait
from shared.core.employee_decision import AnyStep, TakeOutEmployee, takes_out
from shared.core.model import HoldMark, UserId
from shared.ports import HeldUser
from shared.sync.holding import Holding
from shared.sync.leavers import CountLeavers
from shared.sync.work import Work


@dataclass(frozen=True, slots=True)
class HoldingBack:
    """Puts a hold in place of the deactivations that pass the connection's limit."""

    leavers: CountLeavers
    holding: Holding

    def of(self, work: Work, steps: Mapping[UserId, AnyStep]) -> dict[UserId, AnyStep]:
        """The steps of one message, leavers and movers counted together."""
        after = dict(steps)
        leaving = {
            user: reason for user, step in steps.items() if (reason := takes_out(step)) is not None
        }
        held: list[UserId] = []
        waiting: list[UserId] = []
        approved = [user for user in leaving if user in work.approved]
        for user in leaving:
            match work.link_of(user).hold:
                case _ if user in work.approved:
                    pass  # saved with its preview's numbers confirmed
                case HoldMark.NONE if _must_wait(steps[user]):
                    held.append(user)
                case HoldMark.NONE:
                    work.leavers.add(user)
                case HoldMark.APPROVED:
                    pass  # a person's word does not count against the limit
                case HoldMark.EXPIRED if work.bulk:
                    held.append(user)  # raised again by a full sync
                case mark:
                    waiting += [user] if mark is HoldMark.WAITING else []
                    after[user] = Wait("waits for a person's decision on the hold")
        shown = [user for user in approved if work.link_of(user).hold in _LISTED]
        if shown:
            self.holding.approved_before(work.connection.id, shown)
        new = [user for user in leaving if user in work.leavers]
        if new and not self.leavers.allow(work.connection, new, work.leavers_elsewhere):
            held += new
        for user in held:
            why = "" if _must_wait(steps[user]) else ", since too many leave at once"
            after[user] = Hold(f"waits{why}: {leaving[user]}")
        # A mark that no list shows would keep a record for ever without a word.
        listed = [*held, *(self.holding.unlisted(work.connection.id, waiting) if waiting else ())]
        if listed:
            people = [self._person(work, user, leaving[user]) for user in listed]
            self.holding.raise_for(work.connection, people)
        return after

    @staticmethod
    def _person(work: Work, user: UserId, reason: str) -> HeldUser:
        link = work.link_of(user)
        entra = work.users.get(user)
        return HeldUser(
            user, link.record_id, reason, entra.display_name if entra else link.display_name
        )


_LISTED = frozenset({HoldMark.WAITING, HoldMark.EXPIRED})


def _must_wait(step: AnyStep) -> bool:
    return isinstance(step, TakeOut | TakeOutEmployee) and step.must_wait
