"""Employee Defaults and the worklist in real tables (R22, R26)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.store_connections import TableConnections
from shared.adapters.store_employees import TableEmployeeDefaults, TableWorklist
from shared.adapters.store_people import TableLinks
from shared.core.employee_fields import ToWrite
from shared.core.model import ConnectionId, EmployeeDefaults, RecordId, RecordType, RuleId
from shared.core.worklist import Item, ItemKind
from tests.builders import CONNECTION, LONG_AGO, a_link, a_user_id
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

ADA, BEN = a_user_id("ada"), a_user_id("ben")


def an_item(**fields: Any) -> Item:
    given: dict[str, Any] = {
        "connection_id": CONNECTION,
        "user_id": ADA,
        "kind": ItemKind.CREATE,
        "basis": "a.b",
        "at": LONG_AGO,
        "reason": "member of Desk",
        "fields": (ToWrite("LastName", "Þórdís", "Þórdís", "entra", "Lind"),),
        "display_name": "Ada Lind",
        "upn": "ada@contoso.example",
        "record_id": RecordId(950),
        "rule_id": RuleId("r1"),
        "keys": ("ada@contoso.example",),
        "user_name": "ada",
        "after": {"LastName": "Þórdís"},
        "notes": ("a note",),
        "refused": "no",
    }
    return Item(**{**given, **fields})


@pytest.fixture
def worklist(real_storage: RealStorage) -> TableWorklist:
    return TableWorklist(real_storage.opened())


def test_an_item_comes_back_as_it_was_put(worklist: TableWorklist) -> None:
    worklist.put([an_item(), an_item(user_id=BEN, record_id=None, rule_id=None)])

    assert worklist.get(CONNECTION, ADA) == an_item()
    assert len(worklist.list(CONNECTION)) == len(worklist.list()) == 2
    assert worklist.list(ConnectionId("other")) == []


def test_a_newer_item_of_a_user_replaces_the_older_r26(worklist: TableWorklist) -> None:
    worklist.put([an_item()])
    worklist.put([an_item(kind=ItemKind.DEACTIVATE)])

    (one,) = worklist.list()
    assert one.kind is ItemKind.DEACTIVATE


def test_a_change_loses_against_whoever_wrote_meanwhile_r22(worklist: TableWorklist) -> None:
    worklist.put([an_item()])
    read = worklist.get(CONNECTION, ADA)
    assert read is not None
    worklist.put([an_item(reason="newer")])

    assert worklist.change(replace(read, reason="older")) is None
    worklist.remove(CONNECTION, ADA)
    worklist.remove(CONNECTION, ADA)
    assert worklist.get(CONNECTION, ADA) is None


def test_an_address_is_locked_for_one_user_until_it_ends_r9(worklist: TableWorklist) -> None:
    soon = LONG_AGO + timedelta(minutes=2)

    assert worklist.lock_address("a/b@x", ADA, LONG_AGO, soon)
    assert worklist.lock_address("a/b@x", ADA, LONG_AGO, soon), "his own lock"
    assert not worklist.lock_address("a/b@x", BEN, LONG_AGO, soon)
    assert worklist.lock_address("a/b@x", BEN, soon, soon + timedelta(minutes=2))
    worklist.unlock_address("a/b@x")
    assert worklist.lock_address("a/b@x", ADA, LONG_AGO, soon)


def test_defaults_are_kept_and_begin_empty(real_storage: RealStorage) -> None:
    store = TableEmployeeDefaults(real_storage.opened())
    assert store.get() == EmployeeDefaults()

    store.update(
        lambda now: replace(
            now,
            values={"department_id": 101},
            protected=frozenset({RecordId(902)}),
            mode="api",
            fell_back="why",
            fell_back_at=LONG_AGO,
        )
    )

    found = TableEmployeeDefaults(real_storage.opened()).get()
    assert (dict(found.values), found.mode) == ({"department_id": 101}, "api")
    assert found.protected == frozenset({RecordId(902)})
    assert (found.fell_back, found.fell_back_at) == ("why", LONG_AGO)


def test_a_link_remembers_its_task_and_the_type_of_its_old_record_r18(
    real_storage: RealStorage,
) -> None:
    links = TableLinks(real_storage.opened())
    employee = a_link(
        record_type=RecordType.EMPLOYEE,
        old_record_id=RecordId(7),
        old_record_type=RecordType.EMPLOYEE,
        task="change:x",
    )
    links.save([employee, a_link("ben")])

    (found,) = links.employees(CONNECTION)
    assert (found.task, found.old_record_type) == ("change:x", RecordType.EMPLOYEE)


def test_a_deleted_connection_leaves_no_items(real_storage: RealStorage) -> None:
    storage = real_storage.opened()
    TableWorklist(storage).put([an_item()])

    TableConnections(storage).delete(CONNECTION)

    assert TableWorklist(storage).list() == []
