"""Onboarding checks in the tables: one at a time, and found by every instance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.store_checks import TableChecks
from shared.adapters.store_connections import TableConnections
from shared.core.model import UserId
from shared.core.onboarding import CheckResult, Counts, Finding, Person
from tests.builders import CONNECTION, a_connection
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=3)
RESULT = CheckResult(
    NOW,
    "look",
    Counts(in_scope=3, without_address=1),
    (
        Finding(
            "warning",
            "people",
            "1 person is in scope without an address.",
            "Give one.",
            1,
            (Person(UserId("u1"), "Þórdís Jónsdóttir", "has none"),) * 20,
        ),
    ),
)


def test_a_result_is_the_same_on_another_instance(real_storage: RealStorage) -> None:
    one, other = TableChecks(real_storage.opened()), TableChecks(real_storage.opened())
    assert one.begin(CONNECTION, NOW, SOON)
    one.finish(CONNECTION, NOW, RESULT)

    kept = other.get(CONNECTION)

    assert kept is not None
    assert (kept.started_at, kept.until, kept.result) == (NOW, None, RESULT)


def test_only_one_instance_makes_a_check_until_its_claim_has_run_out(
    real_storage: RealStorage,
) -> None:
    one, other = TableChecks(real_storage.opened()), TableChecks(real_storage.opened())
    assert one.begin(CONNECTION, NOW, SOON)

    assert not other.begin(CONNECTION, NOW + timedelta(minutes=1), SOON)
    one.renew(CONNECTION, NOW, SOON + timedelta(minutes=3))
    assert not other.begin(CONNECTION, SOON + timedelta(minutes=1), SOON)
    assert other.begin(CONNECTION, SOON + timedelta(minutes=4), SOON + timedelta(minutes=9))


def test_a_deleted_connection_takes_its_check_along(real_storage: RealStorage) -> None:
    storage = real_storage.opened()
    checks, connections = TableChecks(storage), TableConnections(storage)
    connections.add(a_connection())
    checks.begin(CONNECTION, NOW, SOON)

    connections.delete(CONNECTION)
    checks.finish(CONNECTION, NOW, RESULT)  # by an instance that was still at it

    assert checks.get(CONNECTION) is None


def test_who_was_slower_than_his_claim_ends_nobody_elses_check(real_storage: RealStorage) -> None:
    checks = TableChecks(real_storage.opened())
    assert checks.begin(CONNECTION, NOW, SOON)
    after = SOON + timedelta(seconds=1)
    assert checks.begin(CONNECTION, after, after + timedelta(minutes=3))

    checks.finish(CONNECTION, NOW, RESULT)
    checks.renew(CONNECTION, NOW, after + timedelta(hours=9))

    kept = checks.get(CONNECTION)
    assert kept is not None
    assert (kept.started_at, kept.result) == (after, None)
    assert kept.until == after + timedelta(minutes=3)
