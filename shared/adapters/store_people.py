"""Links and record owners in the tables.

Links of a connection are one partition, its rows the user ids: a whole message is read and written
in transactions, and a full sync reads them page by page. Owners are one partition per record type
over all connections, since two tenants may name the same BMS record (R9).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from shared.adapters.store_connections import stamp, when
from shared.adapters.store_digests import add_page
from shared.adapters.tables import Entity, Storage, Write
from shared.core.digest import LinkDigests
from shared.core.fields import INACTIVE
from shared.core.model import (
    AccountId,
    Claim,
    ConnectionId,
    HoldMark,
    Link,
    LinkState,
    LocationId,
    RecordId,
    RecordType,
    RuleId,
    UserId,
)
from shared.ports import Owner

# Up to here single look-ups in parallel are cheaper than reading the range in between.
_FEW = 12
# No table query looks for a word in the middle of a text, so a search reads links one by one. It
# ends after so many, with a cursor, before a person or the platform loses patience.
LOOKED_AT_ONCE = 10_000
_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGEST = (
    "RowKey",
    "state",
    "recordType",
    "recordId",
    "ruleId",
    "ruleAccountId",
    "accountId",
    "locationId",
    "fingerprint",
    "reason",
    "oldRecordId",
    "oldRecordType",
    "task",
    "hold",
    "inConflict",
    "refused",
)
_ACTIVE = "PartitionKey eq @p and state eq 'active'"


class TableLinks:
    """ports.Links."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("links")
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="links")

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Link | None:
        entity = self._table.get(connection_id, user_id)
        return link_of(entity) if entity else None

    def get_many(
        self, connection_id: ConnectionId, user_ids: Sequence[UserId]
    ) -> dict[UserId, Link]:
        wanted = sorted(set(user_ids))
        if len(wanted) == 1:
            found = [self._table.get(connection_id, wanted[0])]
        elif len(wanted) <= _FEW:
            found = list(self._pool.map(lambda user: self._table.get(connection_id, user), wanted))
        else:
            return self._range(connection_id, wanted)
        return {UserId(entity["RowKey"]): link_of(entity) for entity in found if entity}

    def _range(self, connection_id: ConnectionId, wanted: list[UserId]) -> dict[UserId, Link]:
        # Chunks of neighbours: each is one range query over a small stretch of the partition. The
        # service takes at most 15 comparisons in a filter, three of which are the range itself.
        sought = set(wanted)
        chunks = [wanted[start : start + 12] for start in range(0, len(wanted), 12)]

        def read(chunk: list[UserId]) -> list[Link]:
            names = {f"u{index}": user for index, user in enumerate(chunk)}
            either = " or ".join(f"RowKey eq @{name}" for name in names)
            entities = self._table.query(
                f"PartitionKey eq @p and RowKey ge @lo and RowKey le @hi and ( {either} )",
                parameters={"p": connection_id, "lo": chunk[0], "hi": chunk[-1], **names},
            )
            return [link_of(entity) for entity in entities if entity["RowKey"] in sought]

        return {link.user_id: link for links in self._pool.map(read, chunks) for link in links}

    def all(self, connection_id: ConnectionId) -> Iterator[list[Link]]:
        pages = self._table.pages(
            "PartitionKey eq @p", parameters={"p": connection_id}, select=_DIGEST
        )
        for entities, _ in pages:
            yield [link_of({"PartitionKey": connection_id, **entity}) for entity in entities]

    def digests(self, connection_id: ConnectionId) -> LinkDigests:
        digests = LinkDigests(connection_id)
        found = self._table.contents("PartitionKey eq @p", {"p": connection_id}, _DIGEST)
        for content in found:
            if not add_page(digests, content):
                # A row of an odd shape: read with patience from the beginning.
                return self._patiently(connection_id)
        return digests

    def _patiently(self, connection_id: ConnectionId) -> LinkDigests:
        digests = LinkDigests(connection_id)
        for page in self.all(connection_id):
            for link in page:
                digests.add(link)
        return digests

    def employees(self, connection_id: ConnectionId) -> list[Link]:
        found = self._table.query(
            "PartitionKey eq @p and recordType eq 'employee'", parameters={"p": connection_id}
        )
        return [link_of(entity) for entity in found]

    def count_active(self, connection_id: ConnectionId) -> int:
        linked, undone = (
            sum(
                1
                for _ in self._table.query(
                    query, parameters={"p": connection_id}, select=["RowKey"]
                )
            )
            for query in (_ACTIVE, f"{_ACTIVE} and inactive eq true")
        )
        return linked - undone

    def page(
        self,
        connection_id: ConnectionId,
        *,
        state: str | None,
        text: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[Link], str | None]:
        query = "PartitionKey eq @p"
        parameters: dict[str, str] = {"p": connection_id}
        sought = (text or "").strip().casefold()
        if _OBJECT_ID.fullmatch(sought):  # one read, however many links there are
            query += " and RowKey eq @id"
            parameters["id"] = sought
        if state:
            query += " and state eq @s"
            parameters["s"] = state
        if cursor:
            query += " and RowKey gt @after"
            parameters["after"] = cursor
        found: list[Link] = []
        looked_at, last = 0, ""
        for entities, _ in self._table.pages(query, parameters=parameters):
            if looked_at >= LOOKED_AT_ONCE:
                return found, last
            for entity in entities:
                link = link_of(entity)
                if sought and not _mentions(link, sought):
                    continue
                if len(found) == limit:
                    return found, found[-1].user_id
                found.append(link)
            looked_at += len(entities)
            last = str(entities[-1]["RowKey"]) if entities else last
        return found, None

    def save(self, links: Sequence[Link]) -> dict[UserId, Link]:
        done = self._table.write_all([Write(link_entity(link), etag=link.etag) for link in links])
        return {
            links[index].user_id: replace(links[index], etag=etag) for index, etag in done.items()
        }

    def remove(self, links: Sequence[Link]) -> None:
        self._table.write_all(
            [
                Write(
                    {"PartitionKey": link.connection_id, "RowKey": link.user_id},
                    etag=link.etag or None,
                    delete=True,
                )
                for link in links
            ]
        )


def _mentions(link: Link, sought: str) -> bool:
    texts = (link.display_name, link.upn, link.address, link.user_id, str(link.record_id or ""))
    return any(sought in text.casefold() for text in texts)


def _number(value: int | None) -> int:
    return -1 if value is None else int(value)


def _optional(entity: Entity, name: str) -> int | None:
    value = entity.get(name)
    return None if value is None or int(value) < 0 else int(value)


def link_entity(link: Link) -> Entity:
    """A link as an entity."""
    entity: dict[str, Any] = {
        "PartitionKey": link.connection_id,
        "RowKey": link.user_id,
        "state": link.state.value,
        "recordType": link.record_type.value,
        "recordId": _number(link.record_id),
        "accountId": _number(link.account_id),
        "ruleId": link.rule_id or "",
        "ruleAccountId": _number(link.rule_account_id),
        "locationId": _number(link.location_id),
        "fingerprint": link.fingerprint,
        "written": json.dumps(dict(link.written), ensure_ascii=False),
        "oldRecordId": _number(link.old_record_id),
        "oldRecordType": link.old_record_type.value,
        "task": link.task,
        "displayName": link.display_name,
        "upn": link.upn,
        "address": link.address,
        "reason": link.reason,
        "hold": link.hold.value,
        "inConflict": link.in_conflict,
        "refused": link.refused,
        "updatedAt": stamp(link.updated_at),
    }
    if link.written.get(INACTIVE) == "no":
        entity["inactive"] = True  # by a person's undo, though the user is in scope
    if link.claim:
        entity["claim"] = json.dumps(
            {
                "worker": link.claim.worker,
                "takenAt": stamp(link.claim.taken_at),
                "until": stamp(link.claim.until),
                "creating": link.claim.creating,
            }
        )
    return entity


def link_of(entity: Entity) -> Link:
    """The inverse of `link_entity`."""
    record, account = _optional(entity, "recordId"), _optional(entity, "accountId")
    rule_account, location = _optional(entity, "ruleAccountId"), _optional(entity, "locationId")
    old = _optional(entity, "oldRecordId")
    return Link(
        connection_id=ConnectionId(entity["PartitionKey"]),
        user_id=UserId(entity["RowKey"]),
        state=LinkState(entity["state"]),
        record_type=RecordType(entity.get("recordType", "contact")),
        record_id=None if record is None else RecordId(record),
        account_id=None if account is None else AccountId(account),
        rule_id=RuleId(entity["ruleId"]) if entity.get("ruleId") else None,
        rule_account_id=None if rule_account is None else AccountId(rule_account),
        location_id=None if location is None else LocationId(location),
        fingerprint=entity.get("fingerprint", ""),
        written=json.loads(entity.get("written") or "{}"),
        old_record_id=None if old is None else RecordId(old),
        old_record_type=RecordType(entity.get("oldRecordType") or "contact"),
        task=entity.get("task", ""),
        display_name=entity.get("displayName", ""),
        upn=entity.get("upn", ""),
        address=entity.get("address", ""),
        reason=entity.get("reason", ""),
        hold=HoldMark(entity.get("hold", "")),
        in_conflict=bool(entity.get("inConflict", False)),
        refused=bool(entity.get("refused", False)),
        updated_at=when(entity.get("updatedAt")),
        claim=_claim(entity.get("claim")),
        etag=entity.get("etag", ""),
    )


def _claim(text: str | None) -> Claim | None:
    if not text:
        return None
    body = json.loads(text)
    taken, until = when(body["takenAt"]), when(body["until"])
    if taken is None or until is None:
        return None
    return Claim(body["worker"], taken, until, bool(body["creating"]))


class TableOwners:
    """ports.Owners."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("owners")
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="owners")

    def get_many(
        self, record_type: RecordType, record_ids: Iterable[RecordId]
    ) -> dict[RecordId, Owner]:
        wanted = sorted(set(record_ids))
        if len(wanted) == 1:
            found = [self._table.get(record_type.value, str(wanted[0]))]
        else:
            found = list(
                self._pool.map(lambda one: self._table.get(record_type.value, str(one)), wanted)
            )
        return {
            RecordId(int(entity["RowKey"])): Owner(
                ConnectionId(entity["connectionId"]), UserId(entity["userId"]), entity["etag"]
            )
            for entity in found
            if entity
        }

    def take(
        self, record_type: RecordType, record_id: RecordId, owner: Owner, *, over: Owner | None
    ) -> bool:
        entity = _owner_entity(record_type, record_id, owner)
        if self._table.write(Write(entity, etag=over.etag if over else "")) is not None:
            return True
        return self._is(record_type, record_id, owner)

    def take_new(self, record_type: RecordType, taken: Sequence[tuple[RecordId, Owner]]) -> None:
        self._table.write_all(
            [Write(_owner_entity(record_type, record_id, owner)) for record_id, owner in taken]
        )

    def release(self, record_type: RecordType, record_id: RecordId, owner: Owner) -> None:
        if self._is(record_type, record_id, owner):
            self._table.write(
                Write({"PartitionKey": record_type.value, "RowKey": str(record_id)}, delete=True)
            )

    def _is(self, record_type: RecordType, record_id: RecordId, owner: Owner) -> bool:
        return self.get_many(record_type, [record_id]).get(record_id) == owner


def _owner_entity(record_type: RecordType, record_id: RecordId, owner: Owner) -> Entity:
    return {
        "PartitionKey": record_type.value,
        "RowKey": str(record_id),
        "connectionId": owner.connection_id,
        "userId": owner.user_id,
    }
