"""Columns for a terminal: calm lines whose columns meet, whatever the alphabet."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence

_WIDE = {"W", "F"}  # East Asian characters fill two cells


def width(text: str) -> int:
    """How many cells a terminal gives the text."""
    cells = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        cells += 2 if unicodedata.east_asian_width(character) in _WIDE else 1
    return cells


def padded(text: str, cells: int) -> str:
    """The text with blanks up to so many cells."""
    return text + " " * max(0, cells - width(text))


def table(rows: Sequence[Sequence[str]], *, indent: int = 2) -> list[str]:
    """Lines of a table; the first row is its head."""
    columns = [max(width(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [padded(cell, cells) for cell, cells in zip(row, columns, strict=True)]
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    lines.insert(1, " " * indent + "  ".join("─" * cells for cells in columns))
    return lines


def change_line(word: str, in_entra: str, in_bms: str, seconds: float | None) -> str:
    """One change: its word, what happened in Entra, what became of it in BMS, and how soon."""
    took = "" if seconds is None else f"{seconds:5.1f} s"
    head = f"  {padded(word, 10)} {padded(in_entra, 58)} {took:>7}"
    return f"{head.rstrip()}\n{' ' * 13}→ {in_bms}"


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


def prepare_stdout() -> None:
    """Names from everywhere are printed: a terminal without UTF-8 shows ? instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
