"""The worklist as a table for a spreadsheet: one line per person, one column per field.

What stands in a cell comes from Entra and BMS, so no cell may begin a formula. The byte order mark
tells spreadsheets that it is UTF-8.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from shared.core.employee_fields import ACTIVE, FIELDS, LABELS, Source
from shared.core.worklist import Item, ItemKind

CSV = "text/csv; charset=utf-8"
_BOM = "\ufeff"
_TO_DO = {
    ItemKind.CREATE: "Create a new employee",
    ItemKind.CHANGE: "Change the employee",
    ItemKind.DEACTIVATE: "Deactivate the employee",
}
_SOURCES = {Source.DEFAULT.value: "the Employee Defaults", Source.RULE.value: "the mapping rule"}
_HEAD = ("What to do", "Person", "Employee in BMS", "Because")
_TAIL = (
    "Value until now",
    "Not from Entra",
    "Remarks",
    "Sign-in name in Entra",
    "On the list since",
)
_COLUMNS = tuple(one.name for one in FIELDS)
# Full-width forms count as formulas in some spreadsheets too.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
# Spreadsheets would drop a leading zero, and round or shorten a long number.
_NUMBER = re.compile(r"0\d+|\d{12,}|\d+[eE]\d+")
_FIRST = (ItemKind.DEACTIVATE, ItemKind.CREATE, ItemKind.CHANGE)


def as_csv(items: Sequence[Item]) -> bytes:
    """The items as CSV: who goes comes first, since that frees licences; then by name."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    labels = [LABELS[name] for name in _COLUMNS]
    writer.writerow([*_HEAD, *labels, LABELS[ACTIVE], *_TAIL])
    for item in sorted(items, key=_order):
        writer.writerow([_safe(cell) for cell in _row(item)])
    return (_BOM + text.getvalue()).encode("utf-8")


def _order(item: Item) -> tuple[int, str, str]:
    name = (item.display_name or item.upn).casefold()
    return _FIRST.index(item.kind), name, item.user_id


def _row(item: Item) -> list[str]:
    values = {one.field: one for one in item.fields}
    cells = []
    for name in (*_COLUMNS, ACTIVE):
        one = values.get(name)
        if one is None:
            cells.append("")
        elif one.value:
            # An id without a name is better than nothing: BMS did not tell the name.
            cells.append(one.name or f"no. {one.value}")
        else:
            cells.append("(empty)" if one.source == Source.ENTRA.value else "(choose one)")
    before = [f"{LABELS[one.field]}: {one.old}" for one in item.fields if one.old]
    given = []
    for source, words in _SOURCES.items():
        labels = [LABELS[one.field] for one in item.fields if one.source == source]
        given += [f"{', '.join(labels)} (from {words})"] if labels else []
    remarks = [*item.notes]
    if item.activates:
        remarks.append("needs a paid licence")
    if item.refused:
        remarks.append(item.refused)
    since = item.at.strftime("%Y-%m-%d %H:%M UTC")
    return [
        _TO_DO[item.kind],
        item.display_name or item.upn,
        "" if item.record_id is None else str(item.record_id),
        item.reason,
        *cells,
        "; ".join(before) if item.kind is ItemKind.CHANGE else "",
        "; ".join(given),
        "; ".join(remarks),
        item.upn,
        since,
    ]


def _safe(cell: str) -> str:
    """The cell as text, never as a formula or number: an apostrophe is what spreadsheets know."""
    plain = cell.replace("\r", " ").replace("\n", " ").replace("\x00", "")
    changed = plain.lstrip().startswith(_FORMULA) or _NUMBER.fullmatch(plain.strip())
    return f"'{plain}" if changed else plain
