"""The archive over a storage emulator."""

from __future__ import annotations

from shared.adapters.store_archive import TableArchive
from tests.real_storage import RealStorage


def kept(storage: RealStorage) -> TableArchive:
    """What another instance of the app would remove with."""
    return TableArchive(storage.opened())
