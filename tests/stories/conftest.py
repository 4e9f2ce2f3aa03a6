"""One local world and one function host for each module of stories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.world import World
from tests.stories.story import Story


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """A world with a host that serves, before anything is set up."""
    with World() as world:
        yield Story(world, world.start_host())
