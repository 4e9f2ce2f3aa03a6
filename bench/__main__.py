"""Every figure of the design's section 8 in one run, each beside its floor, in one table.

    python -m bench            the quick form: some two minutes, with fewer people
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
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import burst, counts, freshness, full_sync, starting, sweeping
from bench.figures import Figure, save, table
from bench.stage import SharedStage, Stage
from infra.local.process import REPOSITORY

Measurement = Callable[[], Iterable[Figure]]


Group = dict[str, Measurement]  # measured at once, by name


def quick(directory: Path, ending: ExitStack) -> list[Group]:
    """Every measurement scaled down.

    What is measured in time has the machine for itself, in a world that it shares with others. What
    counts, or waits most of the time, or is far from its goal, runs at once; meanwhile the links of
    the large tenant are made, which takes longer than measuring it.
    """
    shared = SharedStage()
    ending.callback(shared.close)
    unchanged = full_sync.Unchanged(shared, 15_000, 2)
    return [
        {"start": partial(starting.start, shared, 2)},
        {"fresh": partial(freshness.under_load, shared, 6)},
        {"new": partial(full_sync.all_new, shared, 2_000, directory)},
        {"burst": burst.burst},
        {
            "counts": partial(counts.count_figures, 1_000),
            "sweeps": partial(sweeping.connections_a_minute, 10, 8),
            "lost": partial(freshness.notifications_lost, 20, 5),
            "limit": partial(freshness.beside_a_waiting_sync, 9, 50, 80),
            "seeds": unchanged.seed,
        },
        {"unchanged": unchanged.measure},
    ]


def full(directory: Path, ending: ExitStack) -> list[Group]:
    """The same at the size that the design names, each in a world of its own."""
    del ending
    unchanged = full_sync.Unchanged(Stage, 20_000, 5)
    memory = full_sync.Unchanged(Stage, 100_000, 2)
    return [
        {"start": partial(starting.start, Stage, 5)},
        {"counts": partial(counts.count_figures, 20_000)},
        {"new": partial(full_sync.all_new, Stage, 20_000, directory)},
        {"unchanged": unchanged.measure},
        {"memory": memory.measure},
        {"sweeps": partial(sweeping.connections_a_minute, 1_000, 3)},
        {"burst": burst.burst},
        {"fresh": partial(freshness.under_load, Stage, 60)},
        {"lost": partial(freshness.notifications_lost, 60, 60)},
        {"limit": partial(freshness.beside_a_waiting_sync, 120, 1_500, 10_000)},
    ]


def _chosen(groups: Sequence[Group], only: str) -> list[Group]:
    """The named ones; ValueError for a name that is none."""
    wanted = {name for name in only.split(",") if name}
    if unknown := wanted.difference(*groups):
        raise ValueError(f"no such measurement: {', '.join(sorted(unknown))}")
    some = [{name: one for name, one in group.items() if name in wanted} for group in groups]
    return [group for group in some if group] if wanted else list(groups)


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
    with ExitStack() as ending:
        directory = ending.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        every = (full if arguments.full else quick)(Path(directory), ending)
        try:
            chosen = _chosen(every, arguments.only)
        except ValueError as error:
            parser.error(str(error))
        for group in chosen:
            at = time.monotonic() - began
            print(f"{at:6.1f} s  {', '.join(group)} …", file=sys.stderr, flush=True)
            with ThreadPoolExecutor(len(group)) as pool:
                runs = [pool.submit(_measure, name, one, broken) for name, one in group.items()]
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
