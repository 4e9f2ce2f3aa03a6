"""A world whose host may be killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.process import REPOSITORY
from infra.local.world import World
from tests.stories.story import Story
from tests.torture.killing import PatientAdmin

LEASE_SECONDS = 10
HERE = Path(__file__).parent


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Story]:
    """A story whose host dies easily: queue leases, claims and locks end after seconds."""
    shutil.copy(HERE / "hasty_app.py", tmp_path / "function_app.py")
    shutil.copy(REPOSITORY / "host.json", tmp_path)
    with World(lease_seconds=LEASE_SECONDS) as world:
        host = world.start_host(app=tmp_path, SWEEP_SCHEDULE="*/10 * * * * *")
        story = Story(world, host)
        story.admin = PatientAdmin(
            host.base_url,
            world.admin_token,
            proxy=world.proxy_url,
            ca_bundle=str(world.certificates.bundle),
        )
        yield story
