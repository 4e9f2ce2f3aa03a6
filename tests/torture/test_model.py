"""The model, played: short in every test run, for minutes by `make torture`."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from infra.local.world import World
from tests.stories.story import say
from tests.torture.chance import seeded_by_environment, whole
from tests.torture.front import Front
from tests.torture.model import Model
from tests.torture.tenant import Tenant, in_this_world

BATCH = 10  # examples of one seed
settings_of_both = settings(
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
    report_multiple_bugs=False,
)


@pytest.fixture(scope="module")
def played() -> Iterator[type[Model]]:
    """The model in a world of its own."""
    logging.getLogger("shared").setLevel(logging.ERROR)
    with World() as world:
        front = Front()
        with in_this_world(world, front) as environment:

            class Played(Model):
                @staticmethod
                def tenant_of(chance: random.Random) -> Tenant:
                    return Tenant(world, front, environment, chance)

            yield Played
        front.close()
    logging.getLogger("shared").setLevel(logging.NOTSET)


@pytest.mark.world
def test_whatever_happens_bms_ends_as_the_rules_say_r22(played: type[Model]) -> None:
    run_state_machine_as_test(
        seed(20261123)(played),
        settings=settings(settings_of_both, max_examples=5, stateful_step_count=15),
    )


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_whatever_happens_for_minutes_bms_ends_as_the_rules_say_r22(played: type[Model]) -> None:
    until = time.monotonic() + 60 * whole("TORTURE_MINUTES", 10)
    chance = seeded_by_environment("minutes")
    number = whole("TORTURE_SEED", 0) or chance.randrange(10**9)
    while True:
        say(f"batch of {BATCH}: to repeat, TORTURE_SEED={number} TORTURE_MINUTES=0")
        run_state_machine_as_test(
            seed(number)(played),
            settings=settings(settings_of_both, max_examples=BATCH, stateful_step_count=30),
        )
        if time.monotonic() > until:
            return
        number += 1
