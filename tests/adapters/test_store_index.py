"""The address index on the real storage emulator (R6, R9)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.store_index import TableAddressIndex
from shared.core.model import AccountId, RecordId
from shared.ports import AddressEntry, Known
from tests.builders import LONG_AGO, a_user_id
from tests.fakes import Clock
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

LEASE = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
ADA, BEN = a_user_id("ada"), a_user_id("ben")


def a_known(record: int, *, active: bool = True) -> Known:
    return Known(RecordId(record), AccountId(7), active)


@pytest.fixture
def clock() -> Clock:
    return Clock(LONG_AGO)


@pytest.fixture
def index(real_storage: RealStorage, clock: Clock) -> TableAddressIndex:
    return TableAddressIndex(real_storage.opened(), clock)


def other_instance(real_storage: RealStorage, clock: Clock) -> TableAddressIndex:
    return TableAddressIndex(real_storage.opened(), clock)


def read_in(index: TableAddressIndex, clock: Clock, **known: tuple[Known, ...]) -> None:
    """One complete reading that takes a minute; `a=` is the address a@x."""
    began = clock()
    assert index.begin_reading(began, LEASE)
    clock.pass_(MINUTE)
    index.finish_reading(began, {f"{name}@x": each for name, each in known.items()}, clock())


def known_now(index: TableAddressIndex, *names: str) -> dict[str, tuple[Known, ...]]:
    found = index.get_many([f"{name}@x" for name in names])
    return {address[:-2]: entry.known for address, entry in found.items()}


# --- readings --------------------------------------------------------------------------------


def test_before_the_first_reading_nothing_is_known(index: TableAddressIndex) -> None:
    assert index.read_at() is None
    assert index.get_many(["a@x", "b@x"]) == {}
    assert index.get_many([]) == {}
    assert index.cached(["a@x"]) == {}


def test_a_reading_counts_from_when_it_began(index: TableAddressIndex, clock: Clock) -> None:
    began = clock()

    read_in(index, clock, a=(a_known(1), a_known(2, active=False)))

    assert index.read_at() == began
    assert known_now(index, "a", "b") == {"a": (a_known(1), a_known(2, active=False))}


def test_a_reading_replaces_what_was_known(index: TableAddressIndex, clock: Clock) -> None:
    read_in(index, clock, a=(a_known(1),), b=(a_known(2),))
    clock.pass_(MINUTE)

    read_in(index, clock, b=(a_known(3),), c=(a_known(4),))

    assert known_now(index, "a", "b", "c") == {"b": (a_known(3),), "c": (a_known(4),)}


def test_what_was_written_while_a_reading_went_on_stays(
    index: TableAddressIndex, clock: Clock
) -> None:
    read_in(index, clock, a=(a_known(1),), b=(a_known(2),))
    clock.pass_(MINUTE)
    began = clock()
    assert index.begin_reading(began, LEASE)
    clock.pass_(MINUTE)
    index.put([AddressEntry("new@x", (a_known(9),)), AddressEntry("a@x", (a_known(8),))])

    index.finish_reading(began, {"a@x": (a_known(1),), "b@x": (a_known(2),)}, clock())

    assert known_now(index, "a", "b", "new") == {
        "a": (a_known(8),),
        "b": (a_known(2),),
        "new": (a_known(9),),
    }


def test_a_lock_outlives_a_reading_r9(index: TableAddressIndex, clock: Clock) -> None:
    until = clock() + timedelta(minutes=5)
    index.change([AddressEntry("a@x", creating_for=ADA, creating_until=until)])
    clock.pass_(MINUTE)

    read_in(index, clock)

    assert index.get_many(["a@x"])["a@x"].creating_for == ADA


def test_a_reading_shows_the_record_behind_a_lock_too_r22(
    index: TableAddressIndex, clock: Clock
) -> None:
    until = clock() + timedelta(minutes=5)
    index.change([AddressEntry("a@x", creating_for=ADA, creating_until=until)])
    clock.pass_(MINUTE)

    read_in(index, clock, a=(a_known(1),))

    entry = index.get_many(["a@x"])["a@x"]
    assert entry.known == (a_known(1),), "the worker that held the lock may have died"
    assert entry.creating_for == ADA


def test_a_lock_that_ran_out_long_ago_goes_with_a_reading(
    index: TableAddressIndex, clock: Clock
) -> None:
    index.change([AddressEntry("a@x", creating_for=ADA, creating_until=clock() + MINUTE)])
    clock.pass_(timedelta(hours=1))

    read_in(index, clock)

    assert index.get_many(["a@x"]) == {}


def test_a_reading_of_hundreds_is_taken_over(index: TableAddressIndex, clock: Clock) -> None:
    many = {f"u{number}": (a_known(number + 1),) for number in range(350)}
    read_in(index, clock, **many)
    clock.pass_(MINUTE)
    fewer = {name: known for name, known in many.items() if not name.endswith("7")}

    read_in(index, clock, **fewer)

    assert len(index.cached([f"{name}@x" for name in many])) == len(fewer) == 315


def test_only_one_reads_the_lists_at_a_time(
    index: TableAddressIndex, real_storage: RealStorage, clock: Clock
) -> None:
    other = other_instance(real_storage, clock)
    assert index.begin_reading(clock(), LEASE)

    assert not other.begin_reading(clock(), LEASE)

    index.abandon_reading()
    assert other.begin_reading(clock(), LEASE)
    assert other.read_at() is None


def test_a_reading_whose_worker_died_is_begun_again_after_its_lease(
    index: TableAddressIndex, real_storage: RealStorage, clock: Clock
) -> None:
    assert index.begin_reading(clock(), LEASE)
    clock.pass_(LEASE + timedelta(seconds=1))

    assert other_instance(real_storage, clock).begin_reading(clock(), LEASE)


def test_an_abandoned_reading_leaves_the_former_one_standing(
    index: TableAddressIndex, clock: Clock
) -> None:
    read_in(index, clock, a=(a_known(1),))
    before = index.read_at()
    index.begin_reading(clock(), LEASE)

    index.abandon_reading()

    assert index.read_at() == before
    assert known_now(index, "a") == {"a": (a_known(1),)}


# --- locks -----------------------------------------------------------------------------------


def test_one_of_two_instances_locks_an_address_r9(
    index: TableAddressIndex, real_storage: RealStorage, clock: Clock
) -> None:
    other = other_instance(real_storage, clock)
    index.get_many(["nobody@x"])
    other.get_many(["nobody@x"])
    for number in range(5):
        address = f"a{number}@x"
        ready = threading.Barrier(2)

        def lock(
            which: int, address: str = address, ready: threading.Barrier = ready
        ) -> dict[str, AddressEntry]:
            user = (ADA, BEN)[which]
            entry = AddressEntry(address, creating_for=user, creating_until=clock() + MINUTE)
            ready.wait()
            return (index, other)[which].change([entry])

        with ThreadPoolExecutor(2) as pool:
            locked = list(pool.map(lock, range(2)))

        assert sorted(map(len, locked)) == [0, 1]
        holder = ADA if locked[0] else BEN
        assert index.get_many([address])[address].creating_for == holder


def test_a_lock_holds_only_on_what_was_read_r9(
    index: TableAddressIndex, real_storage: RealStorage, clock: Clock
) -> None:
    other = other_instance(real_storage, clock)
    read_in(index, clock, a=(a_known(1),), b=(a_known(2),))
    seen = index.get_many(["a@x", "b@x"])
    other.put([replace(seen["a@x"], known=(a_known(1), a_known(5)))])

    locked = index.change([replace(entry, creating_for=ADA) for entry in seen.values()])

    assert set(locked) == {"b@x"}
    again = index.change([replace(locked["b@x"], creating_for=None)])
    assert set(again) == {"b@x"}, "the answer names the new etag"


# --- the copy for bulk work ------------------------------------------------------------------


def test_the_copy_is_renewed_with_every_reading(
    index: TableAddressIndex, real_storage: RealStorage, clock: Clock
) -> None:
    other = other_instance(real_storage, clock)
    read_in(index, clock, a=(a_known(1),))
    assert other.cached(["a@x"])["a@x"].known == (a_known(1),)
    clock.pass_(MINUTE)

    read_in(index, clock, a=(a_known(2),))

    assert other.cached(["a@x", "b@x"]) == other.get_many(["a@x"])
    assert other.cached(["a@x"])["a@x"].known == (a_known(2),)


def test_the_copy_shows_what_this_process_wrote(index: TableAddressIndex, clock: Clock) -> None:
    read_in(index, clock, a=(a_known(1),))
    index.cached(["a@x"])

    index.put([AddressEntry("b@x", (a_known(2),))])
    locked = index.change([AddressEntry("c@x", creating_for=ADA, creating_until=clock() + MINUTE)])

    shown = index.cached(["b@x", "c@x"])
    assert shown["b@x"].known == (a_known(2),)
    assert shown["c@x"] == locked["c@x"]
    assert index.change([shown["b@x"]]), "with an etag that still holds"


def test_an_outdated_copy_loses_its_lock_and_is_corrected_by_a_look(
    index: TableAddressIndex, real_storage: RealStorage, clock: Clock
) -> None:
    read_in(index, clock, a=(a_known(1),))
    outdated = index.cached(["a@x"])["a@x"]
    other_instance(real_storage, clock).put([AddressEntry("a@x", (a_known(1), a_known(2)))])

    assert index.change([replace(outdated, creating_for=ADA)]) == {}

    index.get_many(["a@x"])
    assert index.cached(["a@x"])["a@x"].known == (a_known(1), a_known(2))


@pytest.mark.parametrize(
    "address",
    ["o'neil@x.example", "a/b\\c#d?e@x.example", "łukasz@日本.example", "a" * 240 + "@x.example"],
    ids=["a quote", "what a key may not hold", "unicode", "a long one"],
)
def test_any_address_can_be_kept(index: TableAddressIndex, address: str) -> None:
    index.put([AddressEntry(address, (a_known(1),))])

    assert index.get_many([address])[address].known == (a_known(1),)
