"""A link in a few bytes, so that a full sync of a hundred thousand people fits into memory.

Only what the first step of a decision looks at is kept. Texts are kept as short digests: a full
sync only asks whether they are still the same, and whoever differs is read again before anything is
done. What many links share (state, accounts, rule) is kept once, as their kind: links of one kind
that are alike in the rest are decided alike, so that one of them needs to be decided only.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from shared.core.model import (
    AccountId,
    ConnectionId,
    HoldMark,
    Link,
    LinkState,
    LocationId,
    MappingRule,
    RecordId,
    RecordType,
    RuleId,
    UserId,
)
from shared.core.worklist import ItemKind, kind_of

_OWN: Final = struct.Struct("<Iq8s8s")  # kind, record, fingerprint, reason
_PRINT: Final = 24  # hexadecimal digits of a fingerprint
_SEEN: Final = None  # instead of a link that was taken, and of a user who has none
_ABSENT: Final = b""

Alike = tuple[int, bool, bool, bytes]


class Kind(NamedTuple):
    """What many links have in common, as the tables write it; numbers below 0 are none."""

    state: str
    hold: str
    record_type: str
    task: str  # the first word
    moving: bool
    in_conflict: bool
    refused: bool
    account: int
    rule_account: int
    location: int
    rule: str


class LinkDigests:
    """The links of one connection, packed, and whom of its users somebody has taken."""

    def __init__(self, connection_id: ConnectionId) -> None:
        self._connection_id = connection_id
        self._packed: dict[bytes, bytes | None] = {}
        self._kinds: list[Kind] = []
        self._numbers: dict[Kind, int] = {}

    def __len__(self) -> int:
        return sum(packed is not _SEEN for packed in self._packed.values())

    def add(self, link: Link) -> None:
        """Remember a link."""
        kind = Kind(
            link.state,
            link.hold,
            link.record_type,
            kind_of(link.task) or "",
            link.old_record_id is not None,
            link.in_conflict,
            link.refused,
            _number(link.account_id),
            _number(link.rule_account_id),
            _number(link.location_id),
            link.rule_id or "",
        )
        self.add_row(link.user_id, kind, _number(link.record_id), link.fingerprint, link.reason)

    def add_row(self, user_id: str, kind: Kind, record: int, fingerprint: str, reason: str) -> None:
        """Remember a link as a row of the table shows it."""
        number = self._numbers.get(kind)
        if number is None:
            number = self._numbers[kind] = len(self._kinds)
            self._kinds.append(kind)
        self._packed[id_bytes(user_id)] = _OWN.pack(
            number, record, _print(fingerprint), _common(reason)
        )

    def is_taken(self, mark: bytes) -> bool:
        """Whether somebody took this user (`id_bytes`) before."""
        return self._packed.get(mark, _ABSENT) is _SEEN

    def alike(self, mark: bytes, fingerprint: str) -> Alike | None:
        """What the first step for a link rests on, as a key: equal ones are decided alike.

        Besides it the step rests on the rule and on what is wanted. None when there is no link.
        """
        packed = self._packed.get(mark)
        if not packed:
            return None
        kind, record, print_, reason = _OWN.unpack(packed)
        return kind, record >= 0, print_ == _print(fingerprint), reason

    def drop(self, mark: bytes) -> None:
        """Nobody asks for this link again; its user is taken."""
        self._packed[mark] = _SEEN

    def take(
        self,
        user_id: UserId,
        *,
        rules: Sequence[MappingRule],
        fingerprint: str,
        reasons: Sequence[str],
    ) -> Link | None:
        """The link again, and forget it here; None when there was none.

        Texts come back as the one of those given that has the same digest, else as "?".
        """
        mark = id_bytes(user_id)
        packed = self._packed.get(mark)
        self._packed[mark] = _SEEN
        return self._link(user_id, packed, rules, fingerprint, reasons) if packed else None

    def left(self, rules: Sequence[MappingRule]) -> Iterator[Link]:
        """The links that nobody took: their users were not seen in any mapped group."""
        for user, packed in self._packed.items():
            if packed is not _SEEN:
                yield self._link(_id_text(user), packed, rules, "?", ())

    def _link(
        self,
        user_id: UserId,
        packed: bytes,
        rules: Sequence[MappingRule],
        fingerprint: str,
        reasons: Sequence[str],
    ) -> Link:
        number, record, print_, reason = _OWN.unpack(packed)
        kind = self._kinds[number]
        rule_id = next((one.id for one in rules if one.id == kind.rule), None)
        return Link(
            connection_id=self._connection_id,
            user_id=user_id,
            state=LinkState(kind.state),
            record_type=RecordType(kind.record_type),
            task=f"{ItemKind(kind.task).value}:" if kind.task else "",
            record_id=None if record < 0 else RecordId(record),
            account_id=None if kind.account < 0 else AccountId(kind.account),
            rule_id=rule_id or (RuleId("?") if kind.rule else None),
            rule_account_id=None if kind.rule_account < 0 else AccountId(kind.rule_account),
            location_id=None if kind.location < 0 else LocationId(kind.location),
            fingerprint=fingerprint if _print(fingerprint) == print_ else "?",
            old_record_id=RecordId(0) if kind.moving else None,
            hold=HoldMark(kind.hold),
            in_conflict=kind.in_conflict,
            refused=kind.refused,
            reason=next((one for one in reasons if _common(one) == reason), "?"),
        )


def id_bytes(user_id: str) -> bytes:
    """An object id in 16 bytes; any other id as it is."""
    if len(user_id) == 36:
        try:
            return bytes.fromhex(user_id.replace("-", ""))
        except ValueError:
            pass
    return user_id.encode()


def _id_text(mark: bytes) -> UserId:
    return UserId(str(uuid.UUID(bytes=mark)) if len(mark) == 16 else mark.decode())


def _print(fingerprint: str) -> bytes:
    """A fingerprint is a digest already."""
    if len(fingerprint) == _PRINT:
        try:
            return bytes.fromhex(fingerprint[:16])
        except ValueError:
            pass
    return _short(fingerprint)


def _short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


@lru_cache(maxsize=512)
def _common(text: str) -> bytes:
    """The same for a text that many links share."""
    return _short(text)


def _number(value: int | None) -> int:
    return -1 if value is None else int(value)
