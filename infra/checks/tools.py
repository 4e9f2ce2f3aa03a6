"""Runs the foreign checks, each in an environment of its own.

    python -m infra.checks.tools doctor | audit | licences | checkov

A tool that cannot be installed, or cannot reach what it needs, is skipped with one line that says
so. Whatever it finds fails the check.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.checks.package import copy, package_files
from infra.local.make_venv import make_environment, python_in
from infra.local.process import REPOSITORY

_CHECKS = REPOSITORY / "infra" / "checks"
_TOOLS = ".venv-tools"
_RUNTIME = ".venv-runtime"

# A tool that waits longer waits for a network that is not there.
_PATIENCE = 300

# Licences that ask for nothing but their own text. MPL: certifi, unchanged.
_LICENCES = (
    "MIT;MIT License;MIT-0;BSD;BSD License;BSD-2-Clause;BSD-3-Clause;Apache-2.0;"
    "Apache Software License;Apache-2.0 OR BSD-3-Clause;Apache-2.0 AND CNRI-Python;"
    "Python Software Foundation License;PSF-2.0;ISC;Mozilla Public License 2.0 (MPL 2.0)"
)

# What checkov asks for and this deployment does not do, and why.
_NOT_ASKED = {
    "CKV_AZURE_13": "it looks for authentication in every config; bicep_rules.py proves it",
    "CKV_AZURE_17": "client certificates: neither Graph nor browsers have one",
    "CKV_AZURE_35": "the network rules depend on a parameter, which checkov does not follow",
    "CKV_AZURE_41": "the one secret is an address; it does not end",
    "CKV_AZURE_63": "web server logs: Flex Consumption has none, Application Insights has them",
    "CKV_AZURE_65": "the same",
    "CKV_AZURE_66": "the same",
    "CKV_AZURE_80": "no .NET",
    "CKV_AZURE_88": "Azure Files needs an account key",
    "CKV_AZURE_109": "the network rules depend on a parameter, which checkov does not follow",
    "CKV_AZURE_206": "replication is a parameter",
    "CKV_AZURE_212": "Flex Consumption brings instances back by itself",
    "CKV_AZURE_213": "Flex Consumption has no health check of its own",
    "CKV_AZURE_222": "Graph and browsers come from the internet",
    "CKV_AZURE_225": "zone redundancy is not offered in every region",
}


def main() -> int:
    """Run the named checks; the answer is the exit status."""
    checks: dict[str, Callable[[], int]] = {
        "doctor": doctor,
        "audit": audit,
        "licences": licences,
        "checkov": checkov,
    }
    names = sys.argv[1:]
    if not names or not set(names) <= set(checks):
        print(f"Name some of: {', '.join(checks)}.", file=sys.stderr)
        return 2
    return max([checks[name]() for name in names])


def doctor() -> int:
    """azure-functions-doctor over the app, for the Python and the plan that Azure has."""
    tool = _tool(_TOOLS, "requirements-tools.txt", "azure-functions-doctor")
    if tool is None:
        return 0
    with tempfile.TemporaryDirectory(prefix="doctor-") as name:
        # What is deployed, and what it is deployed with: the environments here would take minutes.
        folder = Path(name)
        copy(REPOSITORY, [*package_files(REPOSITORY), Path(".funcignore")], folder)
        shutil.copytree(REPOSITORY / "infra" / "azure", folder / "infra")
        # fmt: off
        answer = _run([
            tool, "doctor", "--path", name, "--profile", "deploy", "--target-python", "3.13",
            "--hosting-plan", "flex-consumption", "--format", "json",
        ])
        # fmt: on
    return _found("azure-functions-doctor", answer)


def audit() -> int:
    """pip-audit over what is deployed: known vulnerabilities of the pinned versions."""
    tool = _tool(_TOOLS, "requirements-tools.txt", "pip-audit")
    if tool is None:
        return 0
    requirements = str(REPOSITORY / "requirements.txt")
    answer = _run(
        [tool, "-r", requirements, "--no-deps", "--disable-pip", "--progress-spinner=off", "-fjson"]
    )
    try:
        packages = json.loads(answer.stdout)["dependencies"]
    except ValueError:
        packages = []
    looked_up = [package for package in packages if "skip_reason" not in package]
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']}"
        for package in looked_up
        for vulnerability in package["vulns"]
    ]
    if found:
        print("\n".join(found), file=sys.stderr)
        return 1
    if not looked_up:
        print("pip-audit: skipped, its database of vulnerabilities cannot be reached from here.")
    else:
        print(f"pip-audit: {len(looked_up)} of {len(packages)} packages known, no vulnerability.")
    return 0


def licences() -> int:
    """The licences of everything that is deployed, and that each is one of the known kind ones."""
    tool = _tool(_TOOLS, "requirements-tools.txt", "pip-licenses")
    if tool is None:
        return 0
    python = python_in(REPOSITORY / _RUNTIME)
    made = [sys.executable, "infra/local/make_venv.py", _RUNTIME, "--runtime-only"]
    if subprocess.run(made, cwd=REPOSITORY, check=False).returncode != 0:
        return 1
    answer = _run([tool, f"--python={python}", f"--allow-only={_LICENCES}", "--order=license"])
    print(answer.stdout or answer.stderr)
    return answer.returncode


def checkov() -> int:
    """checkov over the Bicep files, without what is answered above."""
    tool = _tool(".venv-checkov", "requirements-checkov.txt", "checkov")
    if tool is None:
        return 0
    # fmt: off
    answer = _run([
        tool, "-d", "infra/azure", "--framework", "bicep", "--skip-download", "--compact",
        "--quiet", "--skip-check", ",".join(_NOT_ASKED),
    ])
    # fmt: on
    return _found("checkov", answer)


def _tool(environment: str, requirements: str, name: str) -> str | None:
    """The tool's path, installed if need be; None when it cannot be."""
    folder = REPOSITORY / environment
    python = python_in(folder)
    wanted = (_CHECKS / requirements).read_text(encoding="utf-8")
    stamp = folder / ".ready"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        make_environment(folder)
        answer = _run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "-r",
                str(_CHECKS / requirements),
            ],
        )
        if answer.returncode != 0:
            print(f"{name}: skipped, it cannot be installed here.")
            return None
        stamp.write_text(wanted, encoding="utf-8")
    return str(_beside(python, name))


def _beside(python: Path, name: str) -> Path:
    return python.parent / (f"{name}.exe" if sys.platform == "win32" else name)


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {_PATIENCE} s")


def _found(name: str, answer: subprocess.CompletedProcess[str]) -> int:
    if answer.returncode == 0:
        print(f"{name}: nothing found.")
        return 0
    print(f"{answer.stdout}\n{answer.stderr}".strip(), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
