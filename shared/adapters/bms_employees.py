"""Employees as BMS v2 shows them: `searchselect`, read in full (bms-api.md 7.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from shared.adapters.bms_session import Reply
from shared.core.model import Employee, RecordId

SEARCH_SELECT = "/v2/hr/employees/searchselect"
Pages = Callable[[str, Sequence[tuple[str, str]]], Iterator[list[Reply]]]


def read_employees(pages: Pages) -> list[Employee]:
    """Everybody, active and inactive; whoever changes his state meanwhile counts once."""
    found: dict[RecordId, Employee] = {}
    # Leaving the filter out is undefined (bms-api.md 3.5), so both states are asked for.
    for active in (False, True):
        filters = [("Filter.IsActive", "true" if active else "false")]
        for rows in pages(SEARCH_SELECT, filters):
            found |= {one.id: one for one in _employees(rows, active)}
    return list(found.values())


def _employees(rows: Iterable[Reply], active: bool) -> Iterator[Employee]:
    for row in rows:
        yield Employee(
            id=RecordId(row.number("id") or 0),
            first_name=row.text("firstName"),
            last_name=row.text("lastName"),
            email=row.text("emailAddress"),
            user_name=row.text("username"),
            job_title=row.text("jobTitle"),
            is_active=bool(row.value("isActive", active)),
        )
