"""Leavers are counted before the first is written; too many at once wait for a person (R20)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.decision import Hold, Wait
from shared.core.employee_decision import AnyStep, takes_out
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
        reasons: dict[UserId, str] = {}
        new: list[UserId] = []
        for user, step in steps.items():
            if (reason := takes_out(step)) is None:
                continue
            reasons[user] = reason
            match work.link_of(user).hold:
                case HoldMark.APPROVED:
                    del reasons[user]  # a person's word does not count against the limit
                case HoldMark.NONE:
                    new.append(user)
                case HoldMark.EXPIRED if work.bulk:
                    pass  # raised again by a full sync
                case _:
                    del reasons[user]
                    after[user] = Wait("waits for a person's decision on the hold")
        if new and self.leavers.allow(work.connection, new, work.delta.together):
            for user in new:
                del reasons[user]
        people: list[HeldUser] = []
        for user, reason in reasons.items():
            after[user] = Hold(f"waits, since too many leave at once: {reason}")
            link = work.link_of(user)
            people.append(HeldUser(user, link.record_id, reason, link.display_name))
        if people:
            self.holding.raise_for(work.connection, people)
        return after
