"""What is remembered of IT Glue, on real tables (R27)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.adapters.store_connections import TableConnections
from shared.adapters.store_itglue import TableItGlueMemory, TableItGlueSettings, TablePassedOn
from shared.core.itglue import GlueId, ItGlueSettings, OrganizationId, PassedOn, PassState
from shared.core.model import AccountId, RecordId, Trouble
from shared.ports import Everybody, Mapped
from tests.builders import CONNECTION, a_connection, a_user_id
from tests.fakes import START
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

ROW = PassedOn(
    RecordId(500),
    CONNECTION,
    a_user_id("ada"),
    account_id=AccountId(7),
    contact_id=GlueId("88012"),
    state=PassState.MANAGED,
    reason="it is so",
    written={"FirstName": "Zoë", "JobTitle": ""},
    type_before=41,
    type_set=57,
    refused="abc",
    lists_merge=True,
    creating_until=START,
)


def test_settings_come_back_as_they_were_saved(real_storage: RealStorage) -> None:
    store = TableItGlueSettings(real_storage.opened())
    assert store.get() is None
    organizations = ((AccountId(7), OrganizationId(2**40)),)
    settings = ItGlueSettings(True, "https://api.eu.itglue.com", 57, organizations, "v1")

    store.put(settings)

    assert store.get() == settings


@pytest.mark.parametrize(
    "row", [ROW, PassedOn(RecordId(1), CONNECTION, a_user_id("ada"))], ids=["full", "bare"]
)
def test_a_row_comes_back_as_it_was_saved(real_storage: RealStorage, row: PassedOn) -> None:
    store = TablePassedOn(real_storage.opened())
    assert store.get(row.record_id) is None

    saved = store.save(row)

    assert saved == store.get(row.record_id) == row


def test_r22_of_two_writers_of_a_row_the_second_one_is_told(real_storage: RealStorage) -> None:
    one, other = (TablePassedOn(real_storage.opened()) for _ in range(2))
    seen = one.save(ROW)
    assert seen
    assert other.save(ROW) is None, "it must not exist yet"
    assert other.save(replace(seen, reason="other"))

    assert one.save(replace(seen, reason="late")) is None


def test_r27_a_contact_in_it_glue_is_held_by_one_record(real_storage: RealStorage) -> None:
    store = TablePassedOn(real_storage.opened())
    assert store.hold(GlueId("88"), ROW, None)
    assert not store.hold(GlueId("88"), replace(ROW, record_id=RecordId(501)), None)
    held = store.holder(GlueId("88"))
    assert held is not None
    assert held.record_id == 500

    assert store.hold(GlueId("88"), replace(ROW, record_id=RecordId(501)), held)


def test_r27_who_waits_for_an_organization_is_found_by_account(real_storage: RealStorage) -> None:
    store = TablePassedOn(real_storage.opened())
    for number, account in enumerate((7, 8), 1):
        row = replace(ROW, record_id=RecordId(number), state=PassState.UNMAPPED)
        store.save(replace(row, account_id=AccountId(account)))
    store.save(ROW)

    assert [row.record_id for row in store.unmapped(AccountId(8))] == [2]
    assert len(store.unmapped()) == 2


def test_organizations_trouble_and_progress_are_remembered(real_storage: RealStorage) -> None:
    memory = TableItGlueMemory(real_storage.opened())
    found = Mapped(AccountId(7), OrganizationId(3001), "name", START)
    none = Mapped(AccountId(8), None, "", START, "there is none")
    trouble = Trouble("itglue-key", "refused", "a new one", START)
    progress = Everybody(CONNECTION, START, START, 7, finished=True)
    for one in (found, none):
        memory.put_mapped(one)
    memory.put_trouble(trouble)
    memory.put_everybody(progress)

    assert memory.mapped(AccountId(7)) == found
    assert memory.all_mapped() == [found, none]
    assert memory.trouble() == trouble
    assert memory.everybody() == [progress]
    memory.put_trouble(None)
    assert memory.trouble() is None


def test_a_deleted_connection_takes_its_rows_along(real_storage: RealStorage) -> None:
    storage = real_storage.opened()
    store, connections = TablePassedOn(storage), TableConnections(storage)
    connections.add(a_connection())
    store.save(ROW)
    store.hold(GlueId("88"), ROW, None)

    connections.delete(CONNECTION)

    assert store.get(ROW.record_id) is None
    assert store.holder(GlueId("88")) is None
