"""How a connection stands, in words: the reason for its state, and the next step (R30)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.model import Connection, ConnectionState


@dataclass(frozen=True, slots=True)
class Standing:
    """Why, and what to do. Both are empty when there is nothing to do."""

    reason: str = ""
    next_step: str = ""


def standing(connection: Connection) -> Standing:
    """What a person has to know about the connection's state."""
    match connection.state:
        case ConnectionState.PAUSED:
            return Standing("It was paused by a person.", "Resume it when it shall go on.")
        case ConnectionState.DRAFT:
            return Standing(
                "It is not connected to its tenant yet.",
                "Connect it: start Connect and sign in to the tenant as an administrator.",
            )
        case ConnectionState.ATTENTION:
            # What stops everything is told first, however old the rest is.
            first = min(connection.troubles, key=lambda trouble: not trouble.blocks)
            return Standing(first.reason, first.next_step)
        case ConnectionState.CONNECTED if connection.first_sync_at is None:
            return Standing(
                "Nothing is written to BMS before its first sync is asked for.",
                "Add mapping rules, then start a full sync.",
            )
    return Standing()
