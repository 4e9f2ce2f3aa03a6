"""A link in a few bytes, so that a full sync of a hundred thousand people fits into memory.

Only what the first step of a decision looks at is kept. Texts are kept as short digests: a full
sync only asks whether they are still the same, and whoever differs is read again before anything is
done.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
from collections.abc import Sequence
from functools import lru_cache

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

_FORMAT = struct.Struct("<BBBB???qqqq8s8s8s")
_STATES = tuple(LinkState)
_TYPES = tuple(RecordType)
_TASKS: tuple[ItemKind | None, ...] = (None, *ItemKind)
_HOLDS = tuple(HoldMark)


class LinkDigests:
    """The links of one connection, packed."""

    def __init__(self, connection_id: ConnectionId) -> None:
        self._connection_id = connection_id
        self._packed: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def add(self, link: Link) -> None:
        """Remember a link."""
        self._packed[id_bytes(link.user_id)] = _FORMAT.pack(
            _STATES.index(link.state),
            _HOLDS.index(link.hold),
            _TYPES.index(link.record_type),
            _TASKS.index(kind_of(link.task)),
            link.old_record_id is not None,
            link.in_conflict,
            link.refused,
            _number(link.record_id),
            _number(link.account_id),
            _number(link.rule_account_id),
            _number(link.location_id),
            _short(link.fingerprint),
            _common(link.rule_id or ""),
            _common(link.reason),
        )

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
        packed = self._packed.pop(id_bytes(user_id), None)
        return None if packed is None else self._link(user_id, packed, rules, fingerprint, reasons)

    def left(self, rules: Sequence[MappingRule]) -> list[Link]:
        """The links that nobody took: their users were not seen in any mapped group."""
        return [
            self._link(UserId(str(uuid.UUID(bytes=user))), packed, rules, "?", ())
            for user, packed in self._packed.items()
        ]

    def _link(
        self,
        user_id: UserId,
        packed: bytes,
        rules: Sequence[MappingRule],
        fingerprint: str,
        reasons: Sequence[str],
    ) -> Link:
        (
            state,
            hold,
            record_type,
            task,
            moving,
            in_conflict,
            refused,
            record,
            account,
            rule_account,
            location,
            print_,
            rule,
            reason,
        ) = _FORMAT.unpack(packed)
        rule_id = next((one.id for one in rules if _common(one.id) == rule), None)
        unknown = None if rule == _common("") else RuleId("?")
        return Link(
            connection_id=self._connection_id,
            user_id=user_id,
            state=_STATES[state],
            record_type=_TYPES[record_type],
            task=f"{kind.value}:" if (kind := _TASKS[task]) is not None else "",
            record_id=None if record < 0 else RecordId(record),
            account_id=None if account < 0 else AccountId(account),
            rule_id=rule_id or unknown,
            rule_account_id=None if rule_account < 0 else AccountId(rule_account),
            location_id=None if location < 0 else LocationId(location),
            fingerprint=fingerprint if _short(fingerprint) == print_ else "?",
            old_record_id=RecordId(0) if moving else None,
            hold=_HOLDS[hold],
            in_conflict=in_conflict,
            refused=refused,
            reason=next((one for one in reasons if _common(one) == reason), "?"),
        )


def id_bytes(user_id: UserId) -> bytes:
    """An object id in 16 bytes; any other id as it is."""
    if len(user_id) == 36:
        try:
            return bytes.fromhex(user_id.replace("-", ""))
        except ValueError:
            pass
    return user_id.encode()


def _short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


@lru_cache(maxsize=512)
def _common(text: str) -> bytes:
    """The same for a text that many links share: rules, reasons."""
    return _short(text)


def _number(value: int | None) -> int:
    return -1 if value is None else int(value)
