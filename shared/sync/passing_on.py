"""Take records from IT Glue's queue and bring IT Glue to what was last written to BMS (R27).

What is passed on is what the link remembers as written: BMS is not asked, since its calls are the
scarcest thing there is (R25), and a link is as present as BMS is. The row of a record is read
first and written last, under its etag: of two workers on one record the one that loses looks again,
so that the newer link wins whoever wrote last. A contact is made only under a mark on the row.

Trouble with IT Glue as a whole sends the message back; nothing is ever given up because of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.itglue import ItGlueSettings
from shared.core.itglue_messages import EVERYBODY, PassItem, PassOn, encode_pass_on
from shared.core.model import RecordType, Trouble
from shared.errors import DecideAgain, PersonMustAct, SyncError, TryLater
from shared.ports import (
    ITGLUE,
    Everybody,
    ItGlueMemory,
    ItGlueSettingsStore,
    Links,
    Now,
    Queues,
)
from shared.sync.passing_one import Busy, PassOne

log = logging.getLogger(__name__)

_SLICE = timedelta(seconds=20)
_BACK_OFF = (2, 5, 15, 30, 60, 60, 60, 120)
_PARKED = timedelta(seconds=60)  # until a person has entered a key that IT Glue takes
_PAGE = 100
_TRIES = 3


@dataclass(frozen=True, slots=True)
class PassingOn:
    """The use case behind the queue."""

    settings: ItGlueSettingsStore
    memory: ItGlueMemory
    links: Links
    queues: Queues
    fresh: PassOne
    bulk: PassOne
    now: Now

    def handle(self, message: PassOn) -> None:
        """Pass the records of one message on; what cannot be done now goes back to the queue."""
        settings = self.settings.get()
        if settings is None or not settings.enabled:
            return  # switched off meanwhile
        hands = self.bulk if message.bulk or message.kind == EVERYBODY else self.fresh
        try:
            hands.glue.ready()
        except SyncError as error:
            self._back(message, error)
            return
        if message.kind == EVERYBODY:
            self._everybody(hands, message, settings)
        else:
            self._records(hands, message, settings)

    def _records(self, hands: PassOne, message: PassOn, settings: ItGlueSettings) -> None:
        left, busy, trouble = self._pass(hands, message, message.items, settings)
        self._again_soon(message, busy)
        if trouble is not None:
            self._back(replace(message, items=tuple(left)), trouble)
            return
        if left:
            self.queues.send(ITGLUE, encode_pass_on(replace(message, items=tuple(left), tries=0)))
        if message.tries:
            self._well()

    def _pass(
        self, hands: PassOne, message: PassOn, items: Sequence[PassItem], settings: ItGlueSettings
    ) -> tuple[list[PassItem], list[tuple[PassItem, Busy]], SyncError | None]:
        """What is left, who is being written just now, and the trouble that stopped it."""
        until = self.now() + _SLICE
        busy: list[tuple[PassItem, Busy]] = []
        for index, item in enumerate(items):
            if index and self.now() > until:
                return list(items[index:]), busy, None
            try:
                self._one(hands, message, item, settings)
            except Busy as error:
                busy.append((item, error))
            except DecideAgain as error:
                busy.append((item, Busy(error.sentence, timedelta(seconds=2))))
            except SyncError as error:
                # Last when it comes back: one record's trouble must not stop the others (R24).
                return [*items[index + 1 :], item], busy, error
        return [], busy, None

    def _one(
        self, hands: PassOne, message: PassOn, item: PassItem, settings: ItGlueSettings
    ) -> None:
        for attempt in range(_TRIES):
            try:
                hands.pass_on(message.connection_id, item, settings, asked=message.asked)
                return
            except DecideAgain:
                if attempt == _TRIES - 1:
                    raise

    def _again_soon(self, message: PassOn, busy: Sequence[tuple[PassItem, Busy]]) -> None:
        waits: dict[timedelta, list[PassItem]] = {}
        for item, error in busy:
            waits.setdefault(error.after or timedelta(seconds=2), []).append(item)
        for wait, items in waits.items():
            again = PassOn(
                message.connection_id, tuple(items), asked=message.asked, bulk=message.bulk
            )
            self.queues.send(ITGLUE, encode_pass_on(again), wait)

    # --- everybody -----------------------------------------------------------------------------

    def _everybody(self, hands: PassOne, message: PassOn, settings: ItGlueSettings) -> None:
        """One slice of a connection's links. A single message at a time carries it on, so that
        fresh writes never queue up behind it."""
        until = self.now() + _SLICE
        while self.now() <= until:
            if not message.items and not message.last:
                message = self._next_page(message)
            left, busy, trouble = self._pass(hands, message, message.items, settings)
            self._again_soon(message, busy)
            done = message.done + len(message.items) - len(left)
            message = replace(message, items=tuple(left), done=done)
            if trouble is not None:
                self._progress(message, finished=False)
                self._back(message, trouble)
                return
            if message.tries:
                self._well()
                message = replace(message, tries=0)
            finished = message.last and not left
            self._progress(message, finished=finished)
            if finished:
                return
        self.queues.send(ITGLUE, encode_pass_on(message))

    def _next_page(self, message: PassOn) -> PassOn:
        links, cursor = self.links.page(
            message.connection_id,
            state=None,
            text=None,
            limit=_PAGE,
            cursor=message.after or None,
        )
        items = [
            PassItem(link.record_id, link.user_id, link.account_id)
            for link in links
            if link.record_id is not None and link.record_type is RecordType.CONTACT
        ]
        # Those of one account together: the contacts of its organization are read once.
        items.sort(key=lambda one: (one.account_id or 0, one.record_id))
        return replace(message, items=tuple(items), after=cursor or "", last=cursor is None)

    def _progress(self, message: PassOn, *, finished: bool) -> None:
        now = self.now()
        self.memory.put_everybody(
            Everybody(message.connection_id, message.started_at or now, now, message.done, finished)
        )

    # --- IT Glue as a whole --------------------------------------------------------------------

    def _back(self, message: PassOn, error: SyncError) -> None:
        """Bring the message back later; a person hears of it."""
        counts = not isinstance(error, TryLater) or error.counts
        tries = message.tries + 1 if counts else message.tries
        if counts:
            self._tell(error)
        delay = timedelta(seconds=_BACK_OFF[min(max(tries - 1, 0), len(_BACK_OFF) - 1)])
        if isinstance(error, PersonMustAct):
            delay = _PARKED
        elif isinstance(error, TryLater) and error.after is not None:
            delay = max(error.after, timedelta(seconds=1))
        log.info(
            "IT Glue later: connection=%s records=%d tries=%d cause=%s",
            message.connection_id,
            len(message.items),
            tries,
            type(error).__name__,
        )
        self.queues.send(ITGLUE, encode_pass_on(replace(message, tries=tries)), delay)

    def _tell(self, error: SyncError) -> None:
        now, before = self.now(), self.memory.trouble()
        if isinstance(error, PersonMustAct):
            trouble = Trouble(error.code, error.sentence, error.next_step, now)
        else:
            trouble = Trouble(
                "itglue-away",
                error.sentence,
                "Nothing is lost: what waits is passed on when IT Glue answers again.",
                now,
            )
        if before is not None and before.code == trouble.code:
            trouble = replace(trouble, since=before.since)
        if trouble != before:
            self.memory.put_trouble(trouble)

    def _well(self) -> None:
        if self.memory.trouble() is not None:
            self.memory.put_trouble(None)
