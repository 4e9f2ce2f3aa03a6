"""The demonstration tells the truth: it ends well when all is well, and says so when it is not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from infra.local.bms.control import BmsControl
from infra.local.process import REPOSITORY, kept_environment

pytestmark = pytest.mark.world


def start(directory: Path, *words: str) -> subprocess.Popen[str]:
    """Start the demonstration with a temporary directory of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "infra.local.demo", *words],
        cwd=REPOSITORY,
        env={**kept_environment(), "TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def read_until(demo: subprocess.Popen[str], pattern: str) -> str:
    """Read the demonstration's lines until one fits, and return what the pattern found in it."""
    assert demo.stdout is not None
    for line in demo.stdout:
        found = re.search(pattern, line)
        if found:
            return found[0]
    raise AssertionError(f"no line with {pattern}")


@pytest.fixture
def temporary() -> Path:
    """Short, since Unix sockets and the eye dislike long paths."""
    return Path(tempfile.mkdtemp(prefix="demo-"))


def test_the_story_ends_as_it_must_and_nothing_stays_behind(temporary: Path) -> None:
    demo = start(temporary, "--once")

    told, complaints = demo.communicate(timeout=240)

    assert (demo.returncode, complaints) == (0, "")
    for line in (
        r"contoso\.example +delegated +Amélie Laurent signed in and consented",
        r"fabrikam\.example +application +Ruth Goldberg gave admin consent",
        r"contoso\.example +14 people: 8 created, 3 merged, 1 waits for a person, 2 left out",
        r"hired +Priya Raghunathan joins Optics staff +\d+\.\d s",
        r"last name Færber → Nakamura",
        r"Lens grinder → Queen of lenses, which stays: a full sync sends nothing",
        r"found by the sweep",
        r"contact \d+ in IT Glue after \d+\.\d s: Home 03055509, .*Cell \+491705550200",
        r"second full sync of both +\d+ calls to Graph, 0 to BMS",
        r"DELETE or PUT sent to BMS +0",
        r"DELETE or PUT sent to IT Glue +0",
        r"foreign host names asked for +0",
        r"Everything is as it must be",
    ):
        assert re.search(line, told), line
    assert "Traceback" not in told
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


def test_a_contact_that_was_touched_without_need_is_told_in_one_sentence(temporary: Path) -> None:
    demo = start(temporary, "--once")
    bms = BmsControl(read_until(demo, r"http://\S+(?= +stands in for Kaseya BMS)"))
    read_until(demo, r"hired +Priya")
    landlord = next(each for each in bms.contacts() if each.last_name == "Marchand")

    # There and back: the values are the same at the end, only the record's history tells of it.
    bms.edit_contact(landlord.id, job_title="Landlady")
    bms.edit_contact(landlord.id, job_title=landlord.job_title)
    told, complaints = demo.communicate(timeout=240)

    assert demo.returncode == 1
    wrong = f"Wrong: contact {landlord.id} (Élodie Marchand) was touched although nobody maps it\n"
    assert wrong in complaints
    assert "The app's log ends with:" in complaints
    assert "Traceback" not in told + complaints
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is another thing there")
def test_ctrl_c_ends_it_in_the_middle_without_a_trace(temporary: Path) -> None:
    demo = start(temporary)
    read_until(demo, r"hired +Priya")

    demo.send_signal(signal.SIGINT)
    told, complaints = demo.communicate(timeout=30)

    assert (demo.returncode, complaints) == (0, "")
    assert told.endswith("\nEnded.\n")
    assert list(temporary.iterdir()) == []
    temporary.rmdir()
