"""Checks the Bicep files: syntax, names, modules, and what must be true of the deployment.

    python -m infra.checks.bicep

There is no Bicep compiler among the tools that a package registry brings, so types and API versions
are not checked here: `az bicep build` and `what-if` do that before a deployment (docs/deploy.md).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from infra.checks import bicep_rules as rules
from infra.checks.bicep_source import BicepFile, NotBicep, read_all, undefined_names, unused_names
from infra.checks.bicep_tree import module_misfits
from infra.local.load_check import SETTINGS
from infra.local.process import REPOSITORY

FOLDER = REPOSITORY / "infra" / "azure"


def main() -> int:
    """Print what is wrong; the answer is the exit status."""
    try:
        files = read_all(FOLDER)
    except NotBicep as error:
        print(error, file=sys.stderr)
        return 1
    problems = problems_of(files, functions_of_the_app())
    print("\n".join(problems) or f"{len(files)} Bicep files are as they must be.")
    return 1 if problems else 0


def functions_of_the_app() -> list[Mapping[str, Any]]:
    """The functions as the worker library lists them, from a process of its own."""
    answer = subprocess.run(
        [sys.executable, "-m", "infra.local.load_check", "--json"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    functions: list[Mapping[str, Any]] = json.loads(answer.stdout)
    return functions


def problems_of(
    files: Mapping[str, BicepFile], functions: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Everything that is wrong with these files, for an app with these functions."""
    routes = [
        rules.HttpRoute(str(function["name"]), str(function["route"]))
        for function in functions
        if function["route"] is not None
    ]
    names = [str(function["name"]) for function in functions]
    return [
        *(problem for file in files.values() for problem in undefined_names(file)),
        *(problem for file in files.values() for problem in unused_names(file)),
        *module_misfits(files),
        *rules.plan_and_runtime(files),
        *rules.nothing_by_key(files),
        *rules.no_secrets(files),
        *rules.roles(files),
        *rules.authentication(files, routes),
        *rules.always_ready(files, names),
        *rules.parameters(files, FOLDER),
        *rules.settings_of_the_app(files, list(SETTINGS)),
    ]


if __name__ == "__main__":
    sys.exit(main())
