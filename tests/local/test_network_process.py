"""Child processes: they say that they are ready, they are ended, and they outlive nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local.network.ports import free_port
from infra.local.process import REPOSITORY, ChildFailed, ChildProcess

READY = 'print(\'{"ready": true, "port": 7}\', flush=True)\n'
WAIT = "import time\ntime.sleep(60)\n"


def child_of(code: str, tmp_path: Path) -> ChildProcess:
    child = ChildProcess("the child", [sys.executable, "-c", code], log=tmp_path / "child.log")
    child.start()
    return child


def gone(pid: int) -> bool:
    """Whether no process has this pid, or only a dead one that nobody has asked after yet."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True


def soon(claim: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if claim():
            return True
        time.sleep(0.02)
    return claim()


def test_the_ready_line_is_read_and_the_rest_goes_to_the_log(tmp_path: Path) -> None:
    code = "import sys\n" + READY + "print('more', flush=True)\nprint('err', file=sys.stderr)\n"
    child = child_of(code, tmp_path)
    assert child.wait_ready() == {"ready": True, "port": 7}
    assert soon(lambda: not child.alive)
    child.stop()
    assert sorted(child.log_tail().split()) == ["err", "more"]


def test_a_child_that_ends_instead_is_reported_with_its_log(tmp_path: Path) -> None:
    child = child_of("import sys\nsys.exit('no such file')\n", tmp_path)
    with pytest.raises(ChildFailed, match=r"(?s)exit status 1 before it was ready.*no such file"):
        child.wait_ready()


def test_a_child_that_stays_silent_is_ended(tmp_path: Path) -> None:
    child = child_of(WAIT, tmp_path)
    with pytest.raises(ChildFailed, match="not ready after"):
        child.wait_ready(timeout=0.3)
    assert not child.alive


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    ignore = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    child = child_of(ignore + READY + WAIT, tmp_path)
    child.wait_ready()
    began = time.monotonic()
    child.stop(timeout=0.3)
    assert not child.alive
    assert child.exit_status == -signal.SIGKILL
    assert time.monotonic() - began < 3


def test_a_child_can_be_started_again(tmp_path: Path) -> None:
    child = child_of(READY + WAIT, tmp_path)
    child.wait_ready()
    first = child.pid
    child.kill()
    child.start()
    assert child.wait_ready()["port"] == 7
    assert child.pid != first
    child.stop()


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(0)", "sys.exit(0)"])
def test_no_child_or_grandchild_outlives_its_parent(tmp_path: Path, end: str) -> None:
    grandchild = "import subprocess, sys, os\n" + (
        "one = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        'print(\'{"ready": true, "port": %d}\' % one.pid, flush=True)\n'
    )
    parent = textwrap.dedent(
        f"""
        import os, sys
        from pathlib import Path
        from infra.local.process import ChildProcess, remove_at_death
        leftover = Path({str(tmp_path / "leftover")!r})
        leftover.mkdir()
        remove_at_death(leftover)
        child = ChildProcess("c", [sys.executable, "-c", {grandchild + WAIT!r}],
                             log=Path({str(tmp_path / "c.log")!r}))
        child.start()
        print(child.pid, child.wait_ready()["port"], flush=True)
        {end}
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", parent],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=20,
        check=False,
    )
    pids = [int(word) for word in answer.stdout.split()]
    assert len(pids) == 2, answer.stderr
    assert soon(lambda: all(gone(pid) for pid in pids))
    assert soon(lambda: not (tmp_path / "leftover").exists())


def test_a_free_port_is_outside_the_range_of_outgoing_connections() -> None:
    assert all(free_port() < 32768 for _ in range(20))
