"""The figures of the design: what each has to reach, what was measured, and the table of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_HEAD = ("figure", "goal", "measured", "floor", "ratio", "")
_WORDS = {True: "met", False: "MISSED", None: "not judged"}


@dataclass(frozen=True)
class Figure:
    """One line of the table. `met` None: measured for information, with no goal of its own."""

    name: str
    goal: str
    measured: str
    met: bool | None
    floor: str = "-"
    ratio: str = "-"
    notes: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """In one word."""
        return _WORDS[self.met]


def at_most(name: str, value: float, goal: float, unit: str, **more: object) -> Figure:
    """A figure that must not pass its goal."""
    return _bounded(name, value, goal, unit, "≤", value <= goal, more)


def at_least(name: str, value: float, goal: float, unit: str, **more: object) -> Figure:
    """A figure that must reach its goal."""
    return _bounded(name, value, goal, unit, "≥", value >= goal, more)


def _bounded(
    name: str, value: float, goal: float, unit: str, sign: str, met: bool, more: dict[str, object]
) -> Figure:
    notes, values = more.get("notes", ()), more.get("values", {})
    assert isinstance(notes, tuple)
    assert isinstance(values, dict)
    return Figure(
        name,
        f"{sign} {_number(goal)}{unit}",
        f"{_number(value)}{unit}",
        met,
        notes=notes,
        values={"measured": value, "goal": goal, **values},
    )


def ratio(
    name: str,
    wall: tuple[float, float],
    cpu: tuple[float, float],
    goal: float,
    stand_in: tuple[str, float],
    notes: tuple[str, ...] = (),
) -> Figure:
    """The app against a bare loop: wall times and client processor times, each (app, floor).

    Where a stand-in takes over half of the wall time, the ratio of processor times counts as well.
    """
    by_wall, by_cpu = wall[0] / wall[1], cpu[0] / cpu[1]
    name_of_busiest, share = stand_in
    dominated = share > 0.5
    met = by_wall <= goal and (by_cpu <= goal or not dominated)
    told = f"{name_of_busiest} took {share:.0%} of the wall time; client CPU {cpu[0]:.2f} s against"
    told += f" {cpu[1]:.2f} s = {by_cpu:.2f} ×" + (", which counts too" if dominated else "")
    if dominated and by_cpu <= goal < by_wall:
        told += f" and is within the goal: what misses it is {name_of_busiest}'s time"
    return Figure(
        name,
        f"≤ {_number(goal)} ×",
        f"{wall[0]:.2f} s",
        met,
        f"{wall[1]:.2f} s",
        f"{by_wall:.2f} ×",
        (told, *notes),
        {
            "wall": wall[0],
            "floorWall": wall[1],
            "cpu": cpu[0],
            "floorCpu": cpu[1],
            "ratioWall": by_wall,
            "ratioCpu": by_cpu,
            "standInShare": share,
            "goal": goal,
        },
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many percent of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def table(figures: Sequence[Figure]) -> str:
    """All figures, one a line, with their notes below them."""
    rows = [_HEAD, *[_row(one) for one in figures]]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    lines = []
    for number, row in enumerate(rows):
        lines.append("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
        elif figures[number - 1].notes:
            lines += [f"    {note}" for note in figures[number - 1].notes]
    return "\n".join(line.rstrip() for line in lines)


def save(figures: Sequence[Figure], path: Path, about: dict[str, object]) -> None:
    """The same as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {**about, "figures": [asdict(one) for one in figures]}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _row(one: Figure) -> tuple[str, ...]:
    return one.name, one.goal, one.measured, one.floor, one.ratio, one.verdict


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
