"""Claims: one worker at a time decides and writes for a user (R22)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.core.model import Claim, Link, LinkState, UserId
from shared.errors import TryLater
from shared.ports import Links, Now
from shared.sync.work import CLAIM_LIFE, CLAIM_USE, Work


def take_claims(
    links: Links, work: Work, wanted: Sequence[tuple[Link, bool]], now: datetime
) -> dict[UserId, Link]:
    """Claim the links that decisions rest on; the flag says that a record is about to be made.

    Answers the claimed ones; whoever is missing was changed meanwhile and is decided again.
    """
    worker = uuid.uuid4().hex[:12]
    claimed = links.save(
        [
            work.named(replace(link, claim=Claim(worker, now, now + CLAIM_LIFE, creating)))
            for link, creating in wanted
        ]
    )
    for link, _ in wanted:
        if link.user_id not in claimed:
            work.decide_again(link.user_id)
    return claimed


def guard(now: Now, taken_at: datetime) -> Callable[[], None]:
    """To be called right before each write: TryLater when the claim may run out meanwhile."""

    def before_write() -> None:
        if now() - taken_at > CLAIM_USE:
            raise TryLater("The claim on the user has nearly run out.", counts=False)

    return before_write


def give_back(links: Links, claimed: Sequence[Link]) -> None:
    """Undo claims that were not used; a user who was never linked is forgotten again."""
    new = [link for link in claimed if link.state is LinkState.PENDING]
    known = [replace(link, claim=None) for link in claimed if link.state is not LinkState.PENDING]
    if new:
        links.remove(new)
    if known:
        links.save(known)
