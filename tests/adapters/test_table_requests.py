"""What goes to the tables as text: every value survives it, and no value can pass for an answer."""

from __future__ import annotations

import pytest

from shared.adapters.table_requests import encoded, filled
from shared.adapters.tables import Storage, Write
from shared.errors import TryLater
from tests.real_storage import RealStorage

AWKWARD = {
    "text": 'Zoë O\'Brien\r\nHTTP/1.1 204 No Content\r\nETag: W/"mine"\r\n--batch',
    "blank": "",
    "number": -(2**31),
    "whole": 3.0,
    "yes": True,
    "left": None,
}


@pytest.fixture
def storage(real_storage: RealStorage) -> Storage:
    return real_storage.opened()


@pytest.mark.world
@pytest.mark.parametrize("etag", [None, ""], ids=["whoever wrote", "must be new"])
def test_values_come_back_as_they_went(storage: Storage, etag: str | None) -> None:
    table = storage.table("values")
    rows = [f"it's {n} é 東京 &+ {etag!r}" for n in range(3)]
    writes = [Write({"PartitionKey": "o'p", "RowKey": row, **AWKWARD}, etag=etag) for row in rows]

    done = table.write_all(writes)

    for place, row in enumerate(rows):
        found = table.get("o'p", row)
        assert found is not None
        assert found.pop("etag") == done[place]
        kept = {name: value for name, value in AWKWARD.items() if value is not None}
        assert found == {"PartitionKey": "o'p", "RowKey": row, **kept}
        assert type(found["whole"]) is float


@pytest.mark.world
def test_a_transaction_that_storage_refuses_changes_nothing(storage: Storage) -> None:
    table = storage.table("refused")
    long = {"PartitionKey": "p", "RowKey": "b", "text": "x" * 40_000}

    with pytest.raises(TryLater):
        table.write_all([Write({"PartitionKey": "p", "RowKey": "a"}), Write(long)])

    assert list(table.query("PartitionKey eq 'p'")) == []


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, b"bytes", ("a", "b")])
def test_what_a_table_would_not_give_back_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="n is"):
        encoded("http://x/t", [Write({"PartitionKey": "p", "RowKey": "r", "n": value})], "b")


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
@pytest.mark.world
def test_a_page_ends_where_it_is_told_and_goes_on_by_its_token(
    storage: Storage, *, together: bool
) -> None:
    table = storage.table("paged")
    writes = [Write({"PartitionKey": "p", "RowKey": f"it's {n}", "n": n}) for n in range(5)]
    for some in [writes] if together else [[one] for one in writes]:
        table.write_all(some)

    first, token = next(table.pages("PartitionKey eq @p", parameters={"p": "p"}, page=2))
    rest = list(table.pages("PartitionKey eq @p", parameters={"p": "p"}, page=2, after=token))

    assert [entity["n"] for entity in first] == [0, 1]
    assert [[entity["n"] for entity in entities] for entities, _ in rest] == [[2, 3], [4]]
    assert rest[-1][1] is None


def test_what_comes_from_outside_stays_a_value_in_a_filter() -> None:
    query = "PartitionKey eq @p and n eq @n and yes eq @yes"
    values = {"p": "o'p' or 1 eq 1 or @n", "n": 3, "yes": True}

    assert filled(query, values) == (
        "PartitionKey eq 'o''p'' or 1 eq 1 or @n' and n eq 3 and yes eq true"
    )
