"""What the use cases need from the outside, as protocols that the adapters fulfil.

Every method raises only the error types of `shared.errors`; `find_`/`get` may answer None where the
docstring says so. Adapters are safe to share between threads.
"""

from __future__ import annotations

from shared.ports.bms import Bms, Budget, EndpointBudget, EntryChange, NewContact
from shared.ports.clock import NewId, Now
from shared.ports.drift import DriftItem, DriftReading, DriftStore
from shared.ports.employees import EmployeeDefaultsStore, EmployeeWriter, RouteMissing, Worklist
from shared.ports.entra import (
    CursorDead,
    DeltaItem,
    DeltaPage,
    Directories,
    Directory,
    Look,
    MemberChange,
    Nesting,
    SignedIn,
    SignIn,
    SignInStart,
)
from shared.ports.itglue import (
    Everybody,
    GlueAccount,
    GlueRefusal,
    Held,
    ItGlue,
    ItGlueMemory,
    ItGlueSettingsStore,
    Mapped,
    PassedOnStore,
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
from shared.ports.previews import Leaving, Preview, PreviewedRule, Previews
from shared.ports.undo import UndoOutcome, UndoOutcomes
from shared.ports.vault import (
    BMS_PASSWORD,
    ITGLUE_KEY,
    Vault,
    application_key,
    client_state,
    token_cache,
)
from shared.ports.waiting import Conflict, Conflicts, Failure, Failures, HeldUser, Hold, Holds
from shared.ports.work import BULK, FRESH, ITGLUE, LEAVERS, QUEUES, SWEEPS, Queues

__all__ = [
    "BMS_PASSWORD",
    "BULK",
    "FRESH",
    "ITGLUE",
    "ITGLUE_KEY",
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
    "DriftItem",
    "DriftReading",
    "DriftStore",
    "EmployeeDefaultsStore",
    "EmployeeWriter",
    "EndpointBudget",
    "EntryChange",
    "Everybody",
    "Failure",
    "Failures",
    "GlueAccount",
    "GlueRefusal",
    "Held",
    "HeldUser",
    "Hold",
    "Holds",
    "ItGlue",
    "ItGlueMemory",
    "ItGlueSettingsStore",
    "Known",
    "Leaving",
    "Links",
    "Look",
    "Mapped",
    "MemberChange",
    "Nesting",
    "NewContact",
    "NewId",
    "Now",
    "Owner",
    "Owners",
    "Part",
    "PassedOnStore",
    "PendingSignIn",
    "PendingSignIns",
    "Preview",
    "PreviewedRule",
    "Previews",
    "Queues",
    "RouteMissing",
    "Rules",
    "Runs",
    "SignIn",
    "SignInStart",
    "SignedIn",
    "SweepState",
    "UndoOutcome",
    "UndoOutcomes",
    "Vault",
    "Window",
    "Windows",
    "Worklist",
    "application_key",
    "client_state",
    "token_cache",
]
