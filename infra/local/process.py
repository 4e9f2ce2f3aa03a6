"""Child processes of the local world.

Each stand-in is a process of its own. It says on stdout that it is ready, writes everything else
to a log file, is ended by its pid, and never outlives the process that started it: besides the
ordinary end at exit, a small guard process (`guard.py`) notices when this one dies without a word.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[2]

Ready = Mapping[str, Any]
ReadyReader = Callable[[Sequence[str]], Ready | None]


# All that a process of the world takes over from the surrounding environment. Not among them: proxy
# settings, certificate bundles, Azure credentials, and whatever else could lead outside.
KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
)


class ChildFailed(Exception):
    """A child process ended, or stayed silent, instead of becoming ready."""


def kept_environment() -> dict[str, str]:
    """The part of the surrounding environment that every process of the world has."""
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}


def json_ready_line(lines: Sequence[str]) -> Ready | None:
    """Read the one JSON line with which a stand-in says that it is ready."""
    try:
        said = json.loads(lines[-1])
    except ValueError:
        return None
    return said if isinstance(said, dict) and said.get("ready") else None


class ChildProcess:
    """One child process: started, awaited, ended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path = REPOSITORY,
        ready_reader: ReadyReader = json_ready_line,
    ) -> None:
        self.name = name
        self.log_path = log
        self._command = list(command)
        self._environment = environment
        self._directory = directory
        self._read_ready = ready_reader
        self._process: subprocess.Popen[str] | None = None
        self._followers: list[threading.Thread] = []
        self._ready: Ready | None = None
        self._settled = threading.Event()

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def alive(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process without waiting for it, so that several can start side by side."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        self._settled = threading.Event()
        self._ready = None
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._directory,
                env=None if self._environment is None else dict(self._environment),
                text=True,
                encoding="utf-8",
                errors="replace",
                # A session of its own: Ctrl-C reaches the parent alone, which ends its children in
                # order, and the whole group can be ended if the child has children.
                start_new_session=True,
            )
        _GUARD.watch(self)
        assert self._process.stdout is not None
        self._followers = [
            threading.Thread(target=self._clear_up_after, args=(self._process,), daemon=True),
            threading.Thread(
                target=self._follow, args=(self._process.stdout, self._settled), daemon=True
            ),
        ]
        for thread in self._followers:
            thread.start()

    def wait_ready(self, timeout: float = 30.0) -> Ready:
        """Wait for the ready line and return what it says; raise ChildFailed when there is none."""
        settled = self._settled.wait(timeout)
        if self._ready is not None:
            return self._ready
        if not settled:
            self.kill()
            raise ChildFailed(self._story(f"was not ready after {timeout:.0f} s"))
        status = self._running().wait()
        self._reap()
        raise ChildFailed(self._story(f"ended with exit status {status} before it was ready"))

    def stop(self, timeout: float = 5.0) -> None:
        """Ask the process to end (SIGTERM) and insist (SIGKILL) when it has not by then."""
        if self._process is None:
            return
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._kill_group()
        self._reap()

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a crash would."""
        if self._process is None:
            return
        self._kill_group()
        self._reap()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the log, for an error message."""
        try:
            return "\n".join(
                self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
            )
        except OSError:
            return ""

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process

    def _kill_group(self) -> None:
        process = self._running()
        if process.poll() is None:
            _kill_group_of(process)

    def _reap(self) -> None:
        self._running().wait()
        for thread in self._followers:
            thread.join(2)

    def _clear_up_after(self, process: subprocess.Popen[str]) -> None:
        # At once, while no other process can have been given the pid: children of the child that it
        # left behind go too.
        process.wait()
        _kill_group_of(process)
        _GUARD.release(self, process.pid)

    def _follow(self, stdout: IO[str], settled: threading.Event) -> None:
        said: list[str] = []
        with stdout, self.log_path.open("a", encoding="utf-8") as log:
            for line in stdout:
                if self._ready is None:
                    said.append(line.rstrip("\n"))
                    self._ready = self._read_ready(said)
                    if self._ready is not None:
                        settled.set()
                        continue
                log.write(line)
                log.flush()
        settled.set()

    def _story(self, what: str) -> str:
        tail = self.log_tail()
        return f"{self.name} {what}" + (f"; its log ends with:\n{tail}" if tail else "")


def _kill_group_of(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            # The child leads its group (start_new_session), so its pid names the group.
            os.killpg(process.pid, signal.SIGKILL)


class _Guard:
    """Knows all running children, and has them killed when this process is no more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: dict[int, ChildProcess] = {}
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def watch(self, child: ChildProcess) -> None:
        with self._lock:
            self._children[child.pid] = child
            self._tell(f"+{child.pid}")

    def release(self, child: ChildProcess, pid: int) -> None:
        with self._lock:
            if self._children.get(pid) is child:
                del self._children[pid]
                self._tell(f"-{pid}")

    def remove_at_death(self, directory: Path) -> None:
        with self._lock:
            self._tell(f"d{directory}")

    def end_all(self) -> None:
        if os.getpid() != self._owner:
            return
        children = list(self._children.values())
        for child in children:
            if child.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + 3
        for child in children:
            child.stop(timeout=max(0.1, deadline - time.monotonic()))

    def _tell(self, line: str) -> None:
        if self._process is None or self._owner != os.getpid():
            self._begin()
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _begin(self) -> None:
        # Not prctl(PR_SET_PDEATHSIG): that signal comes when the *thread* that started the child
        # ends, exists on Linux only, and needs code between fork and exec.
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        # The guard leaves by itself when the pipe closes, so nobody waits for it.
        atexit.register(self.end_all)


_GUARD = _Guard()


def remove_at_death(directory: Path) -> None:
    """Have a temporary directory removed even when this process dies without a word."""
    _GUARD.remove_at_death(directory)
