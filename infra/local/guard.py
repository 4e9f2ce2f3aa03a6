"""Ends what a dead parent left behind.

Started by `process.py` with a pipe on stdin that only the parent holds. A line `+PID` names a
child, `-PID` takes it back, `dPATH` names a temporary directory. The end of the pipe means that the
parent is gone, however it went; then the children that are left are killed and the directories
removed.
"""

import contextlib
import os
import shutil
import signal
import sys


def main() -> None:
    """Wait for the parent's end and clear up after it."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Whoever ends the parent's process group must not end the guard before its work.
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    children: set[int] = set()
    directories: list[str] = []
    for line in sys.stdin:
        kind, rest = line[0], line[1:].rstrip("\n")
        if kind == "+":
            children.add(int(rest))
        elif kind == "-":
            children.discard(int(rest))
        elif kind == "d":
            directories.append(rest)
    for pid in children:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                os.kill(pid, signal.SIGTERM)
            else:
                os.killpg(pid, signal.SIGKILL)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
