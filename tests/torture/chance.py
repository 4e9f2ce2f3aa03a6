"""How long and by which seed: the environment decides, and a failure says how to repeat it."""

from __future__ import annotations

import os
import random
import secrets

from tests.stories.story import say


def whole(name: str, otherwise: int) -> int:
    """A whole number from the environment."""
    return int(os.environ.get(name) or otherwise)


def seeded_by_environment(test: str, target: str = "torture") -> random.Random:
    """Chance by TORTURE_SEED, else by a new seed; the seed is on the page."""
    seed = whole("TORTURE_SEED", 0) or secrets.randbelow(10**9)
    say(f"seed {seed}; to repeat: TORTURE_SEED={seed} make {target} ARGS='-k {test}'")
    return random.Random(seed)
