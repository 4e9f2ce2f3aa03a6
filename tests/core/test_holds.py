"""How many may leave before a person is asked (R20)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.holds import passes_limit, recent
from shared.core.model import HoldLimit
from tests.builders import LONG_AGO, a_user_id


@pytest.mark.parametrize(
    ("base", "already", "more", "too_many"),
    [
        pytest.param(10, 0, 5, False, id="five of ten: not more than the count"),
        pytest.param(10, 0, 6, True, id="six of ten"),
        pytest.param(1000, 0, 6, False, id="six of a thousand: under the share"),
        pytest.param(60, 0, 6, False, id="just the share"),
        pytest.param(59, 0, 6, True, id="just over the share"),
        pytest.param(100_000, 0, 50, False, id="just the most"),
        pytest.param(100_000, 0, 51, True, id="over the most whatever the share"),
        pytest.param(1000, 50, 1, True, id="with those of the day before"),
        pytest.param(10, 5, 1, True, id="one more than the count"),
        pytest.param(0, 0, 1, False, id="one of nobody"),
        pytest.param(0, 0, 6, True, id="six of nobody"),
    ],
)
def test_the_default_limit_r20(base: int, already: int, more: int, too_many: bool) -> None:
    assert passes_limit(HoldLimit(), base=base, already=already, more=more) is too_many


def test_a_connection_has_a_limit_of_its_own_r20() -> None:
    limit = HoldLimit(count=0, percent=0, at_most=1000)

    assert passes_limit(limit, base=1000, already=0, more=1)


def test_a_fraction_of_a_percent_counts_r20() -> None:
    limit = HoldLimit(count=0, percent=0.5, at_most=1000)

    assert not passes_limit(limit, base=200, already=0, more=1)
    assert passes_limit(limit, base=199, already=0, more=1)


def test_only_the_last_24_hours_count_r20() -> None:
    now = LONG_AGO
    taken = {
        a_user_id("now"): now,
        a_user_id("just"): now - timedelta(hours=24) + timedelta(seconds=1),
        a_user_id("over"): now - timedelta(hours=24),
    }

    assert set(recent(taken, now)) == {a_user_id("now"), a_user_id("just")}
