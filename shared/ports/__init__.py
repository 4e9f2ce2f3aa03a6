"""What the use cases need from the outside, as protocols that the adapters fulfil.

Every method raises only the error types of `shared.errors`; `find_`/`get` may answer None where the
docstring says so. Adapters are safe to share between threads.
"""

from __future__ import annotations

from shared.ports.bms import Bms, Budget, EndpointBudget, EntryChange, NewContact
from shared.ports.clock import NewId, Now
from shared.ports.employees import EmployeeDefaultsStore, EmployeeWriter, RouteMissing, Worklist
from shared.ports.entra import (
    CursorDead,
    DeltaItem,
    DeltaPage,
    Directories,
    Directory,
    Look,
    MemberChange,
    SignedIn,
    SignIn,
    SignInStart,
)
from shared.ports.memory import (
    ActivityLog,
    Archive,
    BmsSettingsStore,
    Connections,
    Part,
    PendingSignIn,
    PendingSignIns,
    Rules,
    Runs,
    SweepState,
    Window,
    Windows,
)
from shared.ports.people import AddressEntry, AddressIndex, Known, Links, Owner, Owners
from shared.ports.vault import BMS_PASSWORD, Vault, application_key, client_state, token_cache
from shared.ports.waiting import Conflict, Conflicts, Failure, Failures, HeldUser, Hold, Holds
from shared.ports.work import BULK, FRESH, LEAVERS, QUEUES, SWEEPS, Queues

__all__ = [
    "BMS_PASSWORD",
    "BULK",
    "FRESH",
    "LEAVERS",
    "QUEUES",
    "SWEEPS",
    "ActivityLog",
    "AddressEntry",
    "AddressIndex",
    "Archive",
    "Bms",
    "BmsSettingsStore",
    "Budget",
    "Conflict",
    "Conflicts",
    "Connections",
    "CursorDead",
    "DeltaItem",
    "DeltaPage",
    "Directories",
    "Directory",
    "EmployeeDefaultsStore",
    "EmployeeWriter",
    "EndpointBudget",
    "EntryChange",
    "Failure",
    "Failures",
    "HeldUser",
    "Hold",
    "Holds",
    "Known",
    "Links",
    "Look",
    "MemberChange",
    "NewContact",
    "NewId",
    "Now",
    "Owner",
    "Owners",
    "Part",
    "PendingSignIn",
    "PendingSignIns",
    "Queues",
    "RouteMissing",
    "Rules",
    "Runs",
    "SignIn",
    "SignInStart",
    "SignedIn",
    "SweepState",
    "Vault",
    "Window",
    "Windows",
    "Worklist",
    "application_key",
    "client_state",
    "token_cache",
]
