"""Makes the deployment package and loads it in the worker library, by itself.

    python -m infra.checks.package ENVIRONMENT...

The package is what .funcignore leaves of this folder, as the deployment takes it. It is loaded by
the Python of each environment (made by make_venv.py --runtime-only, so that only requirements.txt
is installed), from a folder of its own with nothing else to import from.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pathspec import PathSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from infra.local.make_venv import python_in
from infra.local.process import REPOSITORY

# All that the app consists of. Anything else in the package is there by mistake.
_FILES = {"function_app.py", "host.json", "requirements.txt", "LICENSE"}
_FOLDER = "shared"
_LARGEST_MB = 20


def main() -> int:
    """Make and load the package; the answer is the exit status."""
    environments = [Path(name) for name in sys.argv[1:]]
    if not environments:
        print("Name an environment to load the package in.", file=sys.stderr)
        return 2
    files = package_files(REPOSITORY)
    if problems := package_problems(REPOSITORY, files):
        print("\n".join(problems), file=sys.stderr)
        return 1
    size = sum((REPOSITORY / file).stat().st_size for file in files)
    print(f"{len(files)} files, {size / 1024:.0f} KB")
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        copy(REPOSITORY, files, Path(folder))
        # One after the other: each prints its own line, or why the app is refused.
        return max(load(environment, Path(folder)) for environment in environments)


def package_files(repository: Path) -> list[Path]:
    """What .funcignore leaves, relative to the folder."""
    lines = (repository / ".funcignore").read_text(encoding="utf-8").splitlines()
    ignored = PathSpec([GitIgnoreSpecPattern(line) for line in lines if line])
    left = []
    for path in sorted(repository.iterdir()):
        if ignored.match_file(path.name + "/" * path.is_dir()):
            continue
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        left += [
            file.relative_to(repository)
            for file in below
            if file.is_file() and not ignored.match_file(file.relative_to(repository))
        ]
    return left


def package_problems(repository: Path, files: Sequence[Path]) -> list[str]:
    """What is in the package without belonging there, and what is missing."""
    names = {file.as_posix() for file in files}
    problems = [f"{name} is missing in the package" for name in sorted(_FILES - names)]
    problems += [
        f"{file} is in the package: name it in .funcignore"
        for file in files
        if file.parts[0] != _FOLDER and str(file) not in _FILES
    ]
    size = sum((repository / file).stat().st_size for file in files)
    if size > _LARGEST_MB * 1024 * 1024:
        problems.append(f"the package is larger than {_LARGEST_MB} MB")
    return problems


def copy(repository: Path, files: Sequence[Path], to: Path) -> None:
    """Lay the files out in a folder of their own."""
    for file in files:
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(repository / file, to / file)


def load(environment: Path, package: Path) -> int:
    """Load the package with the environment's Python; the answer is the exit status."""
    answer = subprocess.run(
        # The environment's own Python is named as it is: resolved, it would be the system's.
        [python_in(environment.absolute()), "-B", "-m", "infra.local.load_check", "--app", package],
        cwd=REPOSITORY,
        check=False,
    )
    return answer.returncode


if __name__ == "__main__":
    sys.exit(main())
