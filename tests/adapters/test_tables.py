"""Writes that lose their race, transactions, and storage that is away (R22)."""

from __future__ import annotations

import pytest

from shared.adapters.store_connections import TableConnections
from shared.adapters.tables import Storage, Write
from shared.core.model import ConnectionId
from shared.errors import TryLater
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world


@pytest.fixture
def storage(real_storage: RealStorage) -> Storage:
    return real_storage.opened()


def test_more_than_a_hundred_writes_are_all_done(storage: Storage) -> None:
    table = storage.table("many")
    writes = [Write({"PartitionKey": "p", "RowKey": f"{n:03d}", "n": n}) for n in range(250)]

    done = table.write_all(writes)

    assert sorted(done) == list(range(250))
    assert [entity["n"] for entity in table.query("PartitionKey eq 'p'")] == list(range(250))


def test_in_a_transaction_only_those_that_lost_their_race_are_left_out_r22(
    storage: Storage,
) -> None:
    table = storage.table("races")
    names = [f"{n:03d}" for n in range(120)]
    etags = table.write_all([Write({"PartitionKey": "p", "RowKey": name}) for name in names])
    for name in ("003", "004", "110"):
        table.write(Write({"PartitionKey": "p", "RowKey": name, "by": "another"}))
    table.write(Write({"PartitionKey": "p", "RowKey": "050"}, delete=True))

    done = table.write_all(
        [
            Write({"PartitionKey": "p", "RowKey": name, "by": "me"}, etag=etags[at])
            for at, name in enumerate(names)
        ]
    )

    assert set(range(120)) - set(done) == {3, 4, 50, 110}
    held = {entity["RowKey"]: entity.get("by") for entity in table.query("PartitionKey eq 'p'")}
    assert held["003"] == "another"
    assert held["005"] == "me"


def test_what_must_be_new_loses_against_what_is_there_r22(storage: Storage) -> None:
    table = storage.table("news")
    assert table.write(Write({"PartitionKey": "p", "RowKey": "a"}, etag="")) is not None

    assert table.write(Write({"PartitionKey": "p", "RowKey": "a"}, etag="")) is None
    both = [Write({"PartitionKey": "p", "RowKey": name}, etag="") for name in ("a", "b")]
    assert set(table.write_all(both)) == {1}


def test_what_is_gone_already_may_be_removed_again(storage: Storage) -> None:
    table = storage.table("gone")
    table.write(Write({"PartitionKey": "p", "RowKey": "b"}))
    removals = [
        Write({"PartitionKey": "p", "RowKey": name}, delete=True) for name in ("a", "b", "c")
    ]

    table.write_all(removals)
    table.write(removals[0])

    assert list(table.query("PartitionKey eq 'p'")) == []


def test_storage_that_cannot_be_reached_is_tried_later() -> None:
    nowhere = RealStorage(
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
        "TableEndpoint=http://127.0.0.1:9/a;QueueEndpoint=http://127.0.0.1:9/a;"
    )

    with pytest.raises(TryLater):
        TableConnections(nowhere.opened()).get(ConnectionId("one"))
