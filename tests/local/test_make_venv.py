"""What `make venv` does before and after the long part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from infra.local.make_venv import inputs_hash, is_ready, npm_packages_are_installed
from infra.local.process import REPOSITORY


def make_venv(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "infra/local/make_venv.py", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    answer = make_venv(tmp_path)
    assert answer.returncode == 1
    assert "is not a virtual environment" in answer.stderr
    assert answer.stderr.endswith("Name another folder, or remove this one.\n")
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_nothing_is_done_and_said_when_all_is_there(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    (tmp_path / ".ready").write_text(inputs_hash() + "\n")
    answer = make_venv(tmp_path)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_another_input_makes_the_environment_stale(tmp_path: Path) -> None:
    stamp = tmp_path / ".ready"
    stamp.write_text("0123\n")
    assert not is_ready(stamp, inputs_hash())


def test_azurite_and_axe_are_there_in_the_locked_version() -> None:
    assert npm_packages_are_installed()
