"""Links, owners of records and conflicts on the real storage emulator (R8, R9, R22)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters import store_people
from shared.adapters.store_decisions import TableConflicts
from shared.adapters.store_people import TableLinks, TableOwners
from shared.adapters.tables import Storage
from shared.core.model import (
    AccountId,
    Claim,
    ConnectionId,
    Link,
    LinkState,
    LocationId,
    RecordId,
    RecordType,
    RuleId,
    UserId,
)
from shared.ports import Conflict, Owner
from tests.builders import LONG_AGO, a_link, a_user_id
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

ONE, TWO = ConnectionId("one"), ConnectionId("two")
LATER = LONG_AGO + timedelta(days=1, microseconds=1234)
AWKWARD = 'Łukasz O\'Neil "the 3rd" <&> 日本 🙂 %27 \\'


@pytest.fixture
def storage(real_storage: RealStorage) -> Storage:
    return real_storage.opened()


@pytest.fixture
def links(storage: Storage) -> TableLinks:
    return TableLinks(storage)


def a_new_link(name: str = "ada", **fields: object) -> Link:
    return a_link(name, **{"connection_id": ONE, **fields})


def a_full_link() -> Link:
    """No field has its default."""
    return Link(
        connection_id=ONE,
        user_id=a_user_id("full"),
        state=LinkState.KEPT,
        record_type=RecordType.EMPLOYEE,
        record_id=RecordId(2**31 - 1),
        account_id=AccountId(0),
        rule_id=RuleId("rule"),
        rule_account_id=AccountId(7),
        location_id=LocationId(71),
        fingerprint="f" * 24,
        written={"FirstName": AWKWARD, "JobTitle": ""},
        old_record_id=RecordId(499),
        display_name=AWKWARD,
        upn="o'neil@contoso.example",
        address="łukasz@contoso.example",
        reason=AWKWARD,
        updated_at=LATER,
        claim=Claim("worker", LONG_AGO, LATER, creating=True),
    )


# --- links -----------------------------------------------------------------------------------


def test_a_link_comes_back_with_every_field(links: TableLinks) -> None:
    empty = Link(ONE, a_user_id("empty"), LinkState.PENDING)

    links.save([a_full_link(), empty])

    assert links.get(ONE, a_full_link().user_id) == a_full_link()
    assert links.get(ONE, empty.user_id) == empty
    assert links.get(TWO, empty.user_id) is None


def test_any_number_of_links_is_read_at_once_and_no_stranger_with_them(links: TableLinks) -> None:
    everybody = [a_new_link(str(n)) for n in range(320)]
    links.save(everybody)
    links.save([a_new_link("0", connection_id=TWO)])
    assert links.get_many(ONE, []) == {}

    for count in (1, 5, 12, 13, 300):
        wanted = [link.user_id for link in everybody[:count]]
        found = links.get_many(ONE, [*wanted, a_user_id("a stranger")])

        assert set(found) == set(wanted)
        assert all(found[link.user_id] == link for link in everybody[:count])


def test_a_link_is_saved_only_on_what_was_read_r22(real_storage: RealStorage) -> None:
    one, two = (TableLinks(real_storage.opened()) for _ in range(2))
    ada = a_new_link("ada")
    assert set(one.save([ada])) == {ada.user_id}
    assert two.save([ada]) == {}, "it must not exist yet"
    mine, theirs = one.get(ONE, ada.user_id), two.get(ONE, ada.user_id)
    assert mine is not None
    assert theirs is not None

    written = one.save([replace(mine, reason="mine")])

    assert two.save([replace(theirs, reason="theirs")]) == {}
    again = written[ada.user_id]
    assert set(one.save([replace(again, reason="mine again")])) == {ada.user_id}
    held = two.get(ONE, ada.user_id)
    assert held is not None
    assert held.reason == "mine again"


def test_in_one_message_only_links_that_lost_their_race_are_missing_r22(links: TableLinks) -> None:
    everybody = [a_new_link(str(n)) for n in range(150)]
    saved = links.save(everybody)
    for name in ("7", "120"):
        links.save([replace(saved[a_user_id(name)], reason="another was quicker")])

    again = links.save([replace(link, reason="mine") for link in saved.values()])

    assert set(saved) - set(again) == {a_user_id("7"), a_user_id("120")}


def test_a_removed_link_may_be_made_anew(links: TableLinks) -> None:
    saved = links.save([a_new_link("ada"), a_new_link("ben")])

    links.remove(list(saved.values()))

    assert links.get_many(ONE, list(saved)) == {}
    assert len(links.save([a_new_link("ada"), a_new_link("ben")])) == 2


def test_a_link_that_somebody_wrote_meanwhile_is_not_removed_r22(links: TableLinks) -> None:
    saved = links.save([a_new_link("ada"), a_new_link("ben")])
    links.save([replace(saved[a_user_id("ada")], reason="another")])

    links.remove(list(saved.values()))

    assert set(links.get_many(ONE, list(saved))) == {a_user_id("ada")}


def test_a_comparison_reads_every_link_of_its_connection_r23(links: TableLinks) -> None:
    links.save([a_new_link(str(n)) for n in range(1100)])
    links.save([a_new_link("0", connection_id=TWO)])
    links.save([a_full_link()])

    read = [link for page in links.all(ONE) for link in page]

    assert len({link.user_id for link in read}) == len(read) == 1101
    full = next(link for link in read if link.user_id == a_full_link().user_id)
    expected = a_full_link()
    for name in (
        "state",
        "record_id",
        "account_id",
        "rule_id",
        "rule_account_id",
        "location_id",
        "fingerprint",
        "old_record_id",
        "reason",
    ):
        assert getattr(full, name) == getattr(expected, name), name


def test_active_links_are_counted_for_one_connection_r20(links: TableLinks) -> None:
    states = [LinkState.ACTIVE] * 3 + [LinkState.INACTIVE, LinkState.KEPT, LinkState.PENDING]
    links.save([a_new_link(str(n), state=state) for n, state in enumerate(states)])
    links.save([a_new_link("9", connection_id=TWO)])

    assert links.count_active(ONE) == 3


def _all_pages(
    links: TableLinks, *, state: str | None = None, text: str | None = None, limit: int = 3
) -> list[list[UserId]]:
    pages: list[list[UserId]] = []
    cursor: str | None = None
    while True:
        found, cursor = links.page(ONE, state=state, text=text, limit=limit, cursor=cursor)
        pages.append([link.user_id for link in found])
        if cursor is None:
            return pages


def test_pages_of_links_follow_each_other_without_gap_or_double(links: TableLinks) -> None:
    everybody = [a_new_link(str(n)) for n in range(7)]
    links.save(everybody)

    pages = _all_pages(links)

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [user for page in pages for user in page] == sorted(link.user_id for link in everybody)


def test_the_last_full_page_has_no_next_one(links: TableLinks) -> None:
    links.save([a_new_link(str(n)) for n in range(6)])

    assert [len(page) for page in _all_pages(links)] == [3, 3]


@pytest.mark.parametrize(
    "text",
    ["ŁUKASZ o'neil", "o'neil@", "łukasz@contoso", "2147483647", a_user_id("full").upper()],
    ids=["name", "UPN", "address", "record id", "user id"],
)
def test_a_link_is_found_by_what_a_technician_knows_of_it(links: TableLinks, text: str) -> None:
    links.save([a_full_link(), *(a_new_link(str(n)) for n in range(5))])

    assert _all_pages(links, text=text, limit=1) == [[a_full_link().user_id]]


def test_links_are_filtered_by_state(links: TableLinks) -> None:
    links.save([a_new_link("ada"), a_new_link("ben", state=LinkState.CONFLICT)])

    assert _all_pages(links, state="conflict") == [[a_user_id("ben")]]


# --- owners ----------------------------------------------------------------------------------


ADA, BEN = Owner(ONE, a_user_id("ada")), Owner(TWO, a_user_id("ben"))
R = RecordType.CONTACT


def test_a_free_record_is_taken_by_one_user_only_r9(real_storage: RealStorage) -> None:
    stores = [TableOwners(real_storage.opened()) for _ in range(2)]
    stores[0].get_many(R, [RecordId(1)])  # the table is there
    for record in map(RecordId, range(5)):
        ready = threading.Barrier(2)

        def take(
            mine: tuple[TableOwners, Owner],
            ready: threading.Barrier = ready,
            record: RecordId = record,
        ) -> bool:
            store, owner = mine
            ready.wait()
            return store.take(R, record, owner, over=None)

        with ThreadPoolExecutor(2) as pool:
            taken = list(pool.map(take, zip(stores, (ADA, BEN), strict=True)))

        assert sorted(taken) == [False, True]
        winner = ADA if taken[0] else BEN
        assert stores[0].get_many(R, [record]) == {record: winner}


def test_taking_what_one_has_already_is_no_loss_r22(storage: Storage) -> None:
    owners = TableOwners(storage)
    assert owners.take(R, RecordId(1), ADA, over=None)

    assert owners.take(R, RecordId(1), ADA, over=None)


def test_a_record_passes_on_only_from_the_stated_former_owner_r9(storage: Storage) -> None:
    owners = TableOwners(storage)
    owners.take(R, RecordId(1), ADA, over=None)
    former = owners.get_many(R, [RecordId(1)])[RecordId(1)]
    third = Owner(ONE, a_user_id("third"))

    assert owners.take(R, RecordId(1), BEN, over=former)
    assert not owners.take(R, RecordId(1), third, over=former)

    assert owners.get_many(R, [RecordId(1)]) == {RecordId(1): BEN}


def test_only_its_owner_gives_a_record_up_r9(storage: Storage) -> None:
    owners = TableOwners(storage)
    owners.take(R, RecordId(1), ADA, over=None)

    owners.release(R, RecordId(1), BEN)
    assert owners.get_many(R, [RecordId(1)]) == {RecordId(1): ADA}

    owners.release(R, RecordId(1), ADA)
    owners.release(R, RecordId(1), ADA)
    assert owners.get_many(R, [RecordId(1)]) == {}


def test_contacts_and_employees_have_owners_of_their_own(storage: Storage) -> None:
    owners = TableOwners(storage)
    owners.take(RecordType.EMPLOYEE, RecordId(1), BEN, over=None)

    assert owners.get_many(R, [RecordId(1)]) == {}


def test_owners_of_many_new_records_are_written_at_once(storage: Storage) -> None:
    owners = TableOwners(storage)

    owners.take_new(R, [(RecordId(number), ADA) for number in range(130)])

    found = owners.get_many(R, map(RecordId, range(140)))
    assert found == {RecordId(number): ADA for number in range(130)}


# --- conflicts -------------------------------------------------------------------------------


def test_a_conflict_comes_back_until_it_is_settled_r9(storage: Storage) -> None:
    conflicts = TableConflicts(storage)
    one = Conflict(ONE, a_user_id("ada"), (RecordId(5), RecordId(3)), AWKWARD, LATER)
    conflicts.put(replace(one, record_ids=(RecordId(5),)))
    conflicts.put(one)
    conflicts.put(replace(one, connection_id=TWO))
    assert conflicts.list(ONE) == [one]

    conflicts.settle(ONE, one.user_id)
    conflicts.settle(ONE, one.user_id)

    assert conflicts.list(ONE) == []
    assert len(conflicts.list(TWO)) == 1


def test_what_a_person_chose_is_remembered_when_the_conflict_is_settled_r9(
    storage: Storage,
) -> None:
    conflicts = TableConflicts(storage)
    one = Conflict(ONE, a_user_id("ada"), (RecordId(5), RecordId(3)), AWKWARD, LATER)
    chosen = replace(one, state="resolved", chosen=RecordId(3))
    conflicts.put(chosen)

    conflicts.settle(ONE, one.user_id)

    assert conflicts.get(ONE, one.user_id) == chosen


def test_a_whole_object_id_is_found_whatever_its_case_and_in_the_state_asked_for(
    links: TableLinks,
) -> None:
    wanted = UserId("33333333-0000-4000-8000-0000000000ab")
    links.save([a_new_link("ada"), a_new_link("ben"), a_new_link("ines", user_id=wanted)])

    def found(state: str | None) -> list[UserId]:
        text = wanted.upper()
        items, cursor = links.page(ONE, state=state, text=text, limit=5, cursor=None)
        assert cursor is None
        return [each.user_id for each in items]

    assert found(None) == [wanted]
    assert found("active") == [wanted]
    assert found("failed") == []


def test_a_search_that_ends_early_goes_on_by_its_cursor_until_all_were_looked_at(
    links: TableLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_people, "LOOKED_AT_ONCE", 1000)
    names = [f"person {number:04}" for number in range(2100)]
    links.save([a_new_link(name, display_name=name) for name in names])

    found: list[str] = []
    cursor: str | None = None
    pages = 0
    while True:
        some, cursor = links.page(ONE, state=None, text="person 1", limit=5000, cursor=cursor)
        found += [each.display_name for each in some]
        pages += 1
        if cursor is None:
            break

    assert pages == 3
    assert len(found) == len(set(found)) == 1000
