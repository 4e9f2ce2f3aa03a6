"""The Bicep files as they are, and as they would be with one thing changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.checks.bicep import FOLDER, functions_of_the_app, problems_of
from infra.checks.bicep_source import read_all

Changed = Callable[[str, str, str], list[str]]


@pytest.fixture(scope="session")
def functions() -> Sequence[Mapping[str, Any]]:
    """The app's functions, as the worker library lists them."""
    return functions_of_the_app()


@pytest.fixture
def with_change(tmp_path: Path, functions: Sequence[Mapping[str, Any]]) -> Changed:
    """What the check says when a text in one file is another."""

    def check(file: str, old: str, new: str) -> list[str]:
        folder = tmp_path / "bicep"
        shutil.copytree(FOLDER, folder)
        path = folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) >= 1, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        return problems_of(read_all(folder), functions)

    return check
