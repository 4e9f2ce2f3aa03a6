"""The version of the tables."""

from __future__ import annotations

from typing import Protocol


class Schema(Protocol):
    def bring_up(self) -> None:
        """See to it that the tables are of this app's version; after the first time it is free.

        Misconfigured when a newer app wrote them, TryLater while another instance brings them up.
        """
