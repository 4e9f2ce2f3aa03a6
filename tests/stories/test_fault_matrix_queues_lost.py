"""Queues that take messages and lose their answers: done twice is fine, done without end is not.

Every send seems to fail although it was carried out, so everybody sends again: the SDK, the caller,
and the host that brings the message back (R22).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from infra.local.admin import wait_for
from infra.local.world import World
from tests.stories.faults_customer import FaultCustomer
from tests.stories.faults_forms import UNLIMITED

pytestmark = pytest.mark.world

MEMBERS = "graph GET /groups/{id}/transitiveMembers/{cast}"


@pytest.fixture(scope="module")
def customer() -> Iterator[FaultCustomer]:
    """Somebody whose first sync is over."""
    with World(storage_faults=True, lease_seconds=10) as world:
        one = FaultCustomer(world, world.start_host(), "lost")
        one.admin.call("PUT", "/api/settings/bms", UNLIMITED)
        one.begin()
        yield one


def test_a_full_sync_is_not_read_again_and_again_when_queues_lose_their_answers_r22(
    customer: FaultCustomer,
) -> None:
    storage = customer.world.storage
    customer.entra.counters(reset=True)
    storage.add_fault("reset_after", "queue", method="POST", contains=customer.connection)
    wave = customer.wave()
    customer.happen(wave)
    _, answer = customer.orders()
    time.sleep(5)  # messages that seem lost come back meanwhile
    storage.clear_faults()

    customer.settles(90)

    assert answer.plain
    assert wait_for(lambda: _is_quiet(customer), 120, what="an end of the work", every=1)
    # The order, as often as the SDK and the caller have sent it; not once for each of these again.
    assert customer.entra.count(MEMBERS, customer.tenant) <= 8
    customer.is_well()


def _is_quiet(customer: FaultCustomer) -> bool:
    before = customer.entra.count(MEMBERS, customer.tenant)
    time.sleep(4)
    backlog = customer.admin.call("GET", "/api/status")["backlog"]
    return not any(backlog.values()) and customer.entra.count(MEMBERS, customer.tenant) == before
