"""The app as it is, with shorter patience: what a dead worker holds is free again after seconds.

A killed process leaves claims, locks and leases behind, which run out by themselves. The product
gives them minutes, since calls to BMS may take long; here the calls are short, so that hundreds of
kills fit into minutes. Nothing else differs.
"""

from __future__ import annotations

import importlib
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import shared

# This file is copied into a directory of its own as function_app.py, beside a copy of host.json.
REAL = Path(shared.__file__).resolve().parents[1] / "function_app.py"
SHORTER: dict[str, dict[str, Any]] = {
    "shared.sync.work": {
        "CLAIM_LIFE": timedelta(seconds=12),
        "CLAIM_USE": timedelta(seconds=5),
        "LOOK_AGAIN": (1, 2, 4),
    },
    "shared.sync.claims": {"CLAIM_LIFE": timedelta(seconds=12), "CLAIM_USE": timedelta(seconds=5)},
    "shared.sync.employee_acting": {"IN_FLIGHT": timedelta(seconds=6)},
    "shared.sync.employee_by_api": {"CLAIM_LIFE": timedelta(seconds=12)},
    "shared.sync.acting": {"CLAIM_LIFE": timedelta(seconds=12)},
    "shared.sync.seeking": {"IN_FLIGHT": timedelta(seconds=6)},
    "shared.sync.address_reading": {"_LEASE": timedelta(seconds=10)},
    "shared.sync.outcomes": {"LOOK_AGAIN": (1, 2, 4)},
    "shared.sync.replicas": {"LOOK_AGAIN": (1, 2, 4)},
    "shared.sync.sweep": {"_LOOK_AGAIN": (1, 2, 4)},
}

# All are imported before the first is changed: some take their neighbours' constants over.
modules = {name: importlib.import_module(name) for name in SHORTER}
for name, constants in SHORTER.items():
    for constant, value in constants.items():
        if value >= getattr(modules[name], constant):
            raise RuntimeError(f"{name}.{constant} is not longer than {value} any more.")
        setattr(modules[name], constant, value)

# Whoever takes one of these over without being named here would keep the long patience.
PATIENT = {"CLAIM_LIFE", "CLAIM_USE", "IN_FLIGHT"}
for name, module in list(sys.modules.items()):
    if name.startswith("shared.") and (
        left := PATIENT & vars(module).keys() - set(SHORTER.get(name, ()))
    ):
        raise RuntimeError(f"{name} has a {', '.join(left)} of its own: name it above.")

# Function indexing looks into this module, so the real one runs in its namespace.
exec(compile(REAL.read_text(encoding="utf-8"), str(REAL), "exec"))
