"""The address index in the tables: which BMS records carry an address (R6).

One entity per address, all in one partition, so that a message's addresses are locked in one
transaction. A full reading of BMS's lists replaces the index, except for what this app wrote while
the reading went on. Bulk work uses a copy in memory: a lock that fails tells that it was outdated.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from shared.adapters.store_connections import stamp, when
from shared.adapters.tables import Entity, Storage, Write
from shared.core.model import AccountId, RecordId, UserId
from shared.ports import AddressEntry, Known, Now

_PARTITION = "contact"
_META = "meta"


class TableAddressIndex:
    """ports.AddressIndex for contacts."""

    def __init__(self, storage: Storage, now: Now) -> None:
        self._table = storage.table("addresses")
        self._now = now
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="addresses")
        self._lock = threading.Lock()
        self._copy: dict[str, AddressEntry] = {}
        self._copy_of: datetime | None = None
        self._outdated: set[str] = set()  # a lost lock showed that the copy of these is not true

    def read_at(self) -> datetime | None:
        meta = self._table.get(_META, _PARTITION)
        return when(meta["readAt"]) if meta else None

    def begin_reading(self, now: datetime, lease: timedelta) -> bool:
        meta = self._table.get(_META, _PARTITION)
        if meta is not None:
            until = when(meta["readingUntil"])
            if until is not None and until > now:
                return False
        entity = {
            "PartitionKey": _META,
            "RowKey": _PARTITION,
            "readAt": meta["readAt"] if meta else "",
            "readingUntil": stamp(now + lease),
        }
        return self._table.write(Write(entity, etag=meta["etag"] if meta else "")) is not None

    def finish_reading(
        self, began: datetime, entries: Mapping[str, tuple[Known, ...]], now: datetime
    ) -> None:
        unseen = dict(entries)
        pages = self._table.pages("PartitionKey eq @p", parameters={"p": _PARTITION})
        for entities, _ in pages:
            writes: list[Write] = []
            for entity in entities:
                before = _entry(entity)
                read = unseen.pop(before.address, ())
                changed_at = when(entity["changedAt"])
                if changed_at is not None and changed_at >= began and not before.creating_for:
                    continue
                locked = before.creating_until is not None and before.creating_until >= began
                if locked:
                    # What was read behind a lock counts as well: its holder may have died after
                    # BMS had made the record.
                    seen = {one.record_id for one in read}
                    read = (*read, *(one for one in before.known if one.record_id not in seen))
                if not read and not locked:
                    writes.append(Write(_keys(before.address), etag=before.etag, delete=True))
                elif read != before.known:
                    after = replace(before, known=read)
                    writes.append(Write(_entity(after, began), etag=before.etag))
            self._table.write_all(writes)
        self._table.write_all(
            [
                Write(_entity(AddressEntry(address, known), began), etag="")
                for address, known in unseen.items()
            ]
        )
        self._table.write(
            Write(
                {
                    "PartitionKey": _META,
                    "RowKey": _PARTITION,
                    "readAt": stamp(began),
                    "readingUntil": "",
                }
            )
        )

    def abandon_reading(self) -> None:
        meta = self._table.get(_META, _PARTITION)
        if meta is not None:
            self._table.write(
                Write(
                    {
                        "PartitionKey": _META,
                        "RowKey": _PARTITION,
                        "readAt": meta["readAt"],
                        "readingUntil": "",
                    },
                    etag=meta["etag"],
                )
            )

    def get_many(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        wanted = sorted(set(addresses))
        rows = [_row(address) for address in wanted]
        if len(rows) == 1:
            found = [self._table.get(_PARTITION, rows[0])]
        else:
            found = list(self._pool.map(lambda row: self._table.get(_PARTITION, row), rows))
        entries = {entity["address"]: _entry(entity) for entity in found if entity}
        with self._lock:
            for address in wanted:
                self._copy.pop(address, None)
            self._copy.update(entries)
            self._outdated.difference_update(wanted)
        return entries

    def cached(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        read_at = self.read_at()
        wanted = set(addresses)
        if outdated := self._outdated & wanted:
            self.get_many(outdated)
        with self._lock:
            if self._copy_of is None or self._copy_of != read_at:
                pages = self._table.pages("PartitionKey eq @p", parameters={"p": _PARTITION})
                self._copy = {
                    entity["address"]: _entry(entity)
                    for entities, _ in pages
                    for entity in entities
                }
                self._copy_of = read_at
                self._outdated.clear()
            return {address: self._copy[address] for address in wanted if address in self._copy}

    def change(self, entries: Sequence[AddressEntry]) -> dict[str, AddressEntry]:
        now = self._now()
        done = self._table.write_all(
            [Write(_entity(entry, now), etag=entry.etag) for entry in entries]
        )
        locked = {
            entries[index].address: replace(entries[index], etag=etag)
            for index, etag in done.items()
        }
        with self._lock:
            self._outdated.update(entry.address for entry in entries if entry.address not in locked)
            self._copy.update(locked)
        return locked

    def put(self, entries: Sequence[AddressEntry]) -> None:
        now = self._now()
        done = self._table.write_all([Write(_entity(entry, now)) for entry in entries])
        with self._lock:
            for index, etag in done.items():
                self._copy[entries[index].address] = replace(entries[index], etag=etag)


def _row(address: str) -> str:
    # An address may hold what a row key may not; the digest is of fixed length as well.
    return hashlib.sha256(address.encode()).hexdigest()


def _keys(address: str) -> Entity:
    return {"PartitionKey": _PARTITION, "RowKey": _row(address)}


def _entity(entry: AddressEntry, changed_at: datetime) -> Entity:
    return {
        **_keys(entry.address),
        "address": entry.address,
        "known": ";".join(
            f"{one.record_id}:{one.account_id}:{int(one.is_active)}" for one in entry.known
        ),
        "creatingFor": entry.creating_for or "",
        "creatingUntil": stamp(entry.creating_until),
        "changedAt": stamp(changed_at),
    }


def _entry(entity: Entity) -> AddressEntry:
    known = []
    for text in filter(None, str(entity["known"]).split(";")):
        record, account, active = text.split(":")
        known.append(Known(RecordId(int(record)), AccountId(int(account)), active == "1"))
    return AddressEntry(
        address=entity["address"],
        known=tuple(known),
        creating_for=UserId(entity["creatingFor"]) if entity["creatingFor"] else None,
        creating_until=when(entity["creatingUntil"]),
        etag=entity["etag"],
    )
