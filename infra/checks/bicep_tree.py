"""Finds things in pycep's syntax tree: resources, their settings, and how modules fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.checks.bicep_source import BicepFile

Files = Mapping[str, BicepFile]


def resources(files: Files, kind: str) -> list[dict[str, Any]]:
    """The settings of every resource of this type that the files make, `existing` ones left out."""
    return [
        body(resource["config"])
        for file in files.values()
        for resource in file.tree.get("resources", {}).values()
        if resource["type"] == kind and not resource["existing"]
    ]


def body(config: dict[str, Any]) -> dict[str, Any]:
    """The object within a loop or a condition."""
    while "config" in config and ("loop_type" in config or "condition" in config):
        config = config["config"]
    return config


def at(tree: Any, path: str) -> Any:
    """The value at a.b.c; None where the way ends."""
    for part in path.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def texts(tree: Any) -> Iterator[str]:
    """Every text and name anywhere below, keys included."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from texts(value)


def module_misfits(files: Files) -> list[str]:
    """Modules that do not exist, parameters too few or too many, outputs that are not there."""
    problems = []
    for file in files.values():
        for name, module in file.tree.get("modules", {}).items():
            target = files.get(module["detail"]["path"])
            if target is None:
                problems.append(f"{file.name}: {module['detail']['path']} does not exist")
                continue
            wanted = target.tree.get("parameters", {})
            given = set(body(module["config"]).get("params", {}))
            needed = {key for key, value in wanted.items() if value["default"] is None}
            problems += [
                f"{file.name}: {name} is not given {key}" for key in sorted(needed - given)
            ]
            problems += [
                f"{file.name}: {name} takes no {key}" for key in sorted(given - set(wanted))
            ]
            there = set(target.tree.get("outputs", {}))
            used = set(_outputs_used(file.text, name))
            problems += [f"{file.name}: {name} has no output {key}" for key in sorted(used - there)]
    return problems


def _outputs_used(text: str, module: str) -> Iterator[str]:
    for marker in (f"{module}.outputs.", f"{module}!.outputs."):
        for part in text.split(marker)[1:]:
            yield part.split()[0].strip(",)}]'")
