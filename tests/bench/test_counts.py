"""What things cost in calls: limits that no change of the code may pass unseen.

Counts are exact and do not depend on the machine; `make bench` measures the times. A count that
falls is good news: lower its limit here.
"""

from __future__ import annotations

import pytest

from bench import counts
from bench.app_process import Json
from bench.counts import Measured

pytestmark = pytest.mark.world

PEOPLE = 1_500  # two pages of Graph, two of the tables


@pytest.fixture(scope="module")
def measured() -> Measured:
    return counts.measure(PEOPLE, sweeps=3)


def storage(counted: Json) -> int:
    return int(counted["storage"])


def of_the_change(counted: Json) -> dict[str, int]:
    """What is asked of storage whenever this happens."""
    calls: dict[str, int] = counted["each"]
    return {
        call: times
        for call, times in calls.items()
        if call.startswith(("table ", "queue ")) and call not in counts.BY_THE_CLOCK
    }


def test_one_changed_attribute_costs_one_graph_request_and_two_calls_of_bms(
    measured: Measured,
) -> None:
    assert measured.alone["byKind"]["graph"] == 1
    assert measured.alone["byKind"]["bms"] == 2


def test_one_changed_attribute_costs_five_storage_transactions_beside_its_message(
    measured: Measured,
) -> None:
    assert of_the_change(measured.alone) == {
        "table GET /connections": 1,
        "table GET /links": 1,
        "table PUT /links": 2,  # the claim, and what was written
        "table PUT /activity": 1,
    }
    assert storage(measured.alone) <= 5, "the least of some changes falls between two looks"


def test_twenty_changes_in_a_message_share_their_storage_transactions(measured: Measured) -> None:
    assert measured.together["byKind"]["graph"] == 2
    assert measured.together["byKind"]["bms"] == 40
    assert of_the_change(measured.together) == {
        "table GET /connections": 1,
        "table GET /links": 2,
        "table POST /$batch": 3,
    }
    assert storage(measured.together) <= 16, measured.together


def test_a_hundred_new_people_share_a_handful_of_storage_transactions(measured: Measured) -> None:
    assert measured.new["byKind"]["bms"] <= 200, "one creates, one sets the job title"
    assert measured.new["byKind"]["graph"] <= 10
    assert of_the_change(measured.new) == {
        "table GET /connections": 1,
        "table GET /addresses": 2,
        "table POST /$batch": 6,
    }, "nobody is looked for among the links"
    # A purse grows to what a message needs; three messages do not all fall on the end of a slot.
    assert storage(measured.new) <= 14, measured.new


def test_a_new_process_pays_once_for_what_it_has_to_know(measured: Measured) -> None:
    assert storage(measured.first) <= 27, measured.first
    assert measured.first["byKind"]["bms"] <= 5


def test_an_unchanged_person_costs_nothing_in_bms_and_next_to_nothing_in_storage(
    measured: Measured,
) -> None:
    assert "bms" not in measured.unchanged["byKind"]
    assert measured.unchanged["byKind"]["graph"] <= 4
    # Two pages of links; the rest is the same however many people there are.
    assert storage(measured.unchanged) <= 14, measured.unchanged
    assert "queue" not in measured.unchanged["byKind"]


def test_an_idle_sweep_costs_two_graph_requests_and_three_storage_transactions(
    measured: Measured,
) -> None:
    for one in measured.sweeps:
        assert one["byKind"] == {"graph": 2, "table": 2}  # and the timer's message


def test_ordering_sweeps_reads_all_connections_at_once(measured: Measured) -> None:
    assert measured.ordering["each"]["table GET /connections"] == 1
    assert measured.ordering["each"]["queue POST /sweeps/messages"] == 2


def test_bytes_over_the_wire_stay_as_few(measured: Measured) -> None:
    assert measured.alone["sent"] <= 700
    assert measured.alone["received"] <= 4_500
    # A page of Graph holds what decisions need and no more: some 440 bytes a person.
    assert measured.unchanged["received"] <= 500 * PEOPLE
