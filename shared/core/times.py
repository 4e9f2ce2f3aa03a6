"""Timestamps as Microsoft Graph writes them: UTC, with up to seven fractional digits."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(text: object) -> datetime | None:
    """An ISO 8601 time as an aware datetime; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def zulu(at: datetime) -> str:
    """As Graph likes to be given it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
