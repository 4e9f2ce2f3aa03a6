"""`python -m tests.torture.replay FILE`: plays the steps that a failed model printed once more.

FILE holds the lines `('step', {...}),` of the failure. When it fails again, steps are left out one
by one for as long as it still fails alike, and the shortest story is printed.
"""

from __future__ import annotations

import ast
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.local.world import World
from tests.stories.story import say
from tests.torture.front import Front
from tests.torture.model import Model
from tests.torture.tenant import Tenant, in_this_world

Step = tuple[str, dict[str, Any]]
TOLD_ONLY = {"died", "refused"}  # what followed from a step, told for the reader


def read(text: str) -> list[Step]:
    """The steps among the lines of a failure."""
    lines = [line.strip().removeprefix("E").strip().rstrip(",") for line in text.splitlines()]
    steps: list[Step] = [ast.literal_eval(line) for line in lines if line.startswith("('")]
    return [step for step in steps if step[0] not in TOLD_ONLY]


def play(model: type[Model], steps: Sequence[Step]) -> str:
    """Let the steps happen; what was wrong, or nothing."""
    machine = model()
    try:
        for name, arguments in steps:
            conditions = getattr(
                getattr(model, name), "hypothesis_stateful_preconditions", ()
            )  # by which a step may be impossible once others are left out
            if all(condition(machine) for condition in conditions):
                getattr(machine, name)(**arguments)
                machine.check_all()
        machine.teardown()
    except AssertionError as failed:
        return str(failed)
    return ""


def main() -> int:
    """Play, and shorten what fails."""
    steps = read(Path(sys.argv[1]).read_text())
    with World() as world:
        front = Front()
        with in_this_world(world, front) as environment:

            class Played(Model):
                @staticmethod
                def tenant_of(chance: random.Random) -> Tenant:
                    return Tenant(world, front, environment, chance)

            failure = play(Played, steps)
            place = len(steps) - 1
            while failure and place > 0:
                fewer = [*steps[:place], *steps[place + 1 :]]
                again = play(Played, fewer)
                if again.split(":")[0] == failure.split(":")[0]:
                    steps, failure = fewer, again
                place -= 1
        front.close()
    say(failure or "Nothing is wrong.")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
