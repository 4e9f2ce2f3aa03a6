"""Messages of the queue `itglue-contacts`: ids of BMS records, never what they hold (R22, R27)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from shared.core.messages import UnreadableMessage, pack_user, unpack_user
from shared.core.model import AccountId, ConnectionId, RecordId, UserId

RECORDS, EVERYBODY = "records", "everybody"
MOST_RECORDS = 50


@dataclass(frozen=True, slots=True)
class PassItem:
    """A contact in BMS, the user that it was written for, and the account that it is in."""

    record_id: RecordId
    user_id: UserId
    account_id: AccountId | None = None


@dataclass(frozen=True, slots=True)
class PassOn:
    """Look at these records and bring IT Glue to what was last written of them.

    kind "everybody": all linked contacts of the connection, as a person asked at `started_at`:
    `items` first, then those of the users after `after`, unless these are the `last`. `asked`: what
    was given up (422) is tried again. `bulk`: paid for from the bulk share of the limit.
    """

    connection_id: ConnectionId
    items: tuple[PassItem, ...] = ()
    kind: str = RECORDS
    after: str = ""
    last: bool = False
    done: int = 0
    started_at: datetime | None = None
    asked: bool = False
    bulk: bool = False
    tries: int = 0
    revived: int = 0


def encode_pass_on(message: PassOn) -> str:
    """JSON text of a message."""
    body: dict[str, object] = {"v": 1, "c": message.connection_id, "k": message.kind}
    if message.items:
        body["i"] = [
            [one.record_id, pack_user(one.user_id), one.account_id or 0] for one in message.items
        ]
    if message.started_at:
        body["at"] = message.started_at.isoformat()
    for key, value in (
        ("a", message.after),
        ("e", message.last),
        ("d", message.done),
        ("q", message.asked),
        ("b", message.bulk),
        ("t", message.tries),
        ("r", message.revived),
    ):
        if value:
            body[key] = value
    return json.dumps(body, separators=(",", ":"))


def decode_pass_on(text: str) -> PassOn:
    """The inverse; raises UnreadableMessage."""
    try:
        body = json.loads(text)
        if body["k"] not in (RECORDS, EVERYBODY):
            raise ValueError("a kind of its own")
        return PassOn(
            connection_id=ConnectionId(str(body["c"])),
            items=tuple(
                PassItem(
                    RecordId(int(record)),
                    unpack_user(user),
                    AccountId(int(account)) if account else None,
                )
                for record, user, account in body.get("i", [])
            ),
            kind=body["k"],
            after=str(body.get("a", "")),
            last=bool(body.get("e", False)),
            done=int(body.get("d", 0)),
            started_at=datetime.fromisoformat(body["at"]) if body.get("at") else None,
            asked=bool(body.get("q", False)),
            bulk=bool(body.get("b", False)),
            tries=int(body.get("t", 0)),
            revived=int(body.get("r", 0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableMessage("not a message for IT Glue") from error


def pack_items(message: PassOn, items: Iterable[PassItem]) -> Iterator[PassOn]:
    """The same message for these records, each once, in as few messages as the size allows."""
    # The last one counts: it knows the account that the record is in now.
    distinct = list({one.record_id: one for one in items}.values())
    for start in range(0, len(distinct), MOST_RECORDS):
        yield replace(message, items=tuple(distinct[start : start + MOST_RECORDS]))
