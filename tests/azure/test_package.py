"""The package is the app and nothing else (.ci/run loads it in the worker library)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.checks.package import copy, package_files, package_problems
from infra.local.process import REPOSITORY


def load(package: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-m", "infra.local.load_check", "--app", str(package)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_package_has_the_app_and_nothing_else() -> None:
    assert package_problems(REPOSITORY, package_files(REPOSITORY)) == []


def test_what_does_not_belong_there_is_seen(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").write_text("tests\n.funcignore\n")
    for name in ("function_app.py", "host.json", "requirements.txt", "LICENSE", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("")
    files = package_files(tmp_path)
    assert package_problems(tmp_path, files) == [
        "notes.txt is in the package: name it in .funcignore"
    ]


def test_settings_of_a_developers_machine_stay_there(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").write_text((REPOSITORY / ".funcignore").read_text())
    for name in ("local.settings.json", ".env", "prod.env", ".azure/prod/.env", ".venv/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    assert package_files(tmp_path) == []


def test_a_module_that_is_left_out_is_missed(tmp_path: Path) -> None:
    files = [file for file in package_files(REPOSITORY) if file.name != "config.py"]
    copy(REPOSITORY, files, tmp_path)
    answer = load(tmp_path)
    assert answer.returncode == 1
    assert "shared.config" in answer.stderr


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        ("templates", "records.html"),
        ("static", "console.css"),
        ("waiting_hold_parts.html", "waiting_hold_parts.html"),
    ],
)
def test_a_package_without_the_consoles_files_is_refused(
    tmp_path: Path, lacking: str, named: str
) -> None:
    files = [file for file in package_files(REPOSITORY) if lacking not in file.parts]
    copy(REPOSITORY, files, tmp_path)
    answer = load(tmp_path)
    assert answer.returncode == 1
    assert f"the console cannot use {named}" in answer.stderr


def test_a_template_that_is_none_is_refused(tmp_path: Path) -> None:
    copy(REPOSITORY, package_files(REPOSITORY), tmp_path)
    broken = tmp_path / "shared" / "web" / "console" / "templates" / "status.html"
    broken.write_text("{% block", encoding="utf-8")
    answer = load(tmp_path)
    assert answer.returncode == 1
    assert "the console cannot use status.html" in answer.stderr
