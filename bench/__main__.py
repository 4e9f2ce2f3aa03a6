"""Every figure of the design's section 8 in one run, each beside its floor, in one table.

    python -m bench            the quick form: two to three minutes, with fewer people
    python -m bench --full     20,000 and 100,000 people

Times depend on the machine; ratios and counts do not, or little.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import burst, counts, freshness, full_sync, starting, sweeping
from bench.figures import Figure, save, table
from infra.local.process import REPOSITORY

Measurement = Callable[[], Iterable[Figure]]


def quick(directory: Path) -> dict[str, Measurement]:
    """Every measurement by its name, scaled down."""
    return {
        "new": partial(full_sync.all_new, 2_000, directory),
        "start": partial(starting.start, 2),
        "counts": partial(counts.count_figures, 1_000),
        "unchanged": partial(full_sync.unchanged, 15_000, 2),
        "sweeps": partial(sweeping.connections_a_minute, 20, 4),
        "burst": burst.burst,
        "fresh": partial(freshness.under_load, 6),
        "lost": partial(freshness.notifications_lost, 20, 5),
        "limit": partial(freshness.beside_a_waiting_sync, 9, 50, 80),
    }


def full(directory: Path) -> dict[str, Measurement]:
    """The same at the size that the design names."""
    return {
        "start": partial(starting.start, 5),
        "counts": partial(counts.count_figures, 20_000),
        "new": partial(full_sync.all_new, 20_000, directory),
        "unchanged": partial(full_sync.unchanged, 20_000, 5),
        "memory": partial(full_sync.unchanged, 100_000, 2),
        "sweeps": partial(sweeping.connections_a_minute, 1_000, 3),
        "burst": burst.burst,
        "fresh": partial(freshness.under_load, 60),
        "lost": partial(freshness.notifications_lost, 60, 60),
        "limit": partial(freshness.beside_a_waiting_sync, 120, 1_500, 10_000),
    }


# They count, or wait most of their time, or are far from their goal: at once in the quick form.
_TOGETHER = ("counts", "sweeps", "lost", "limit")


def _groups(chosen: Sequence[str], *, at_once: bool) -> list[list[str]]:
    together = [name for name in chosen if at_once and name in _TOGETHER]
    alone = [[name] for name in chosen if name not in together]
    return [*alone, together] if together else alone


def _measure(name: str, measurement: Measurement, broken: list[str]) -> list[Figure]:
    """What one measurement found; what kept it from the end is told and ends nothing else."""
    found: list[Figure] = []
    try:
        found.extend(measurement())
    except (AssertionError, OSError, RuntimeError, ValueError, KeyError) as error:
        broken.append(f"{name} could not be measured: {error!r:.500}")
    return found


def main() -> int:
    """Measure, print, save; 1 when a measurement could not be made."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="20,000 and 100,000 people")
    parser.add_argument("--only", default="", help="names with commas: start,counts,new,…")
    parser.add_argument("--json", type=Path, help="where the table goes as JSON")
    arguments = parser.parse_args()
    form = "full" if arguments.full else "quick"
    found: list[Figure] = []
    broken: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        every = (full if arguments.full else quick)(Path(directory))
        chosen = [name for name in arguments.only.split(",") if name] or list(every)
        if unknown := set(chosen) - every.keys():
            parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
        for group in _groups(chosen, at_once=not arguments.full):
            at = time.monotonic() - began
            print(f"{at:6.1f} s  {', '.join(group)} …", file=sys.stderr, flush=True)
            with ThreadPoolExecutor(len(group)) as pool:
                runs = [pool.submit(_measure, name, every[name], broken) for name in group]
                for run in runs:
                    found.extend(run.result())
    about: dict[str, object] = {
        "form": form,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "seconds": round(time.monotonic() - began, 1),
        "broken": broken,
    }
    path = arguments.json or REPOSITORY / ".local" / "bench" / f"{form}.json"
    save(found, path, about)
    print(table(found))
    missed = [one for one in found if one.met is False]
    judged = [one for one in found if one.met is not None]
    print(f"\n{len(judged) - len(missed)} of {len(judged)} figures met; {form} form,")
    print(
        f"Python {about['python']}, {about['processors']} processors, load {about['load']:.1f}, "
        f"{about['seconds']} s. As JSON: {path}"
    )
    for sentence in broken:
        print(sentence)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
