"""The Employee Defaults as a person sets them (R3, R15, R26).

Ids are checked against BMS's look-ups. The API mode begins with a probe that writes nothing; where
BMS does not offer the route, the mode stays worklist, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.core import trouble_texts
from shared.core.employee_fields import LISTS
from shared.core.model import EmployeeDefaults, RecordId, RecordType
from shared.core.worklist import Licences, licences
from shared.errors import BadInput, BadInputs, PersonMustAct
from shared.ports import (
    Bms,
    BmsSettingsStore,
    Connections,
    EmployeeDefaultsStore,
    EmployeeWriter,
    Now,
    RouteMissing,
    Rules,
    Worklist,
)
from shared.sync import troubles
from shared.sync.re_evaluation import ReEvaluation

NAMES = {
    "department_id": "departmentId",
    "location_id": "locationId",
    "manager_id": "managerId",
    "job_title_id": "jobTitleId",
    "employment_type_id": "employmentTypeId",
    "security_role_id": "securityRoleId",
    "employee_role_id": "employeeRoleId",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """The defaults as they are, and the paid licences that the open items come to."""

    defaults: EmployeeDefaults
    licences: Licences
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckEmployeeIds:
    """Whether BMS knows the ids, for the defaults and for a rule's overrides alike."""

    bms: Bms

    def problems(self, values: Mapping[str, int], prefix: str = "") -> list[BadInput]:
        """One refusal for every id that BMS does not know."""
        found: list[BadInput] = []
        for setting, id_ in values.items():
            kind = LISTS[setting]
            try:
                known = dict(self.bms.lookup(kind))
            except PersonMustAct:
                # The name of this table is a guess (bms-api.md 6): then nobody can tell.
                if kind != "employmenttypes":
                    raise
                continue
            if id_ not in known:
                name = f"{prefix}{NAMES[setting]}"
                found.append(
                    BadInput(
                        422,
                        f"{name} {id_} is not known to BMS: choose one from /api/bms/{kind}.",
                        field=name,
                    )
                )
        return found


@dataclass(frozen=True, slots=True)
class ManageEmployeeDefaults:
    """The use cases of the Employee Defaults page."""

    store: EmployeeDefaultsStore
    worklist: Worklist
    bms: Bms
    bms_settings: BmsSettingsStore
    writer: EmployeeWriter
    connections: Connections
    rules: Rules
    check: CheckEmployeeIds
    re_evaluation: ReEvaluation
    now: Now

    def get(self) -> Shown:
        """As they are."""
        return Shown(self.store.get(), licences(self.worklist.list()))

    def save(self, values: Mapping[str, int], protected: list[int], mode: str) -> Shown:
        """Replace them; BadInput names every id that BMS does not know."""
        if self.bms_settings.get() is None:
            raise BadInput(409, "BMS is not set up yet: save the BMS settings first.")
        problems = self.check.problems(values)
        present = {one.id: one for one in self.bms.employees(newer_than=self.now())}
        unknown = [one for one in protected if RecordId(one) not in present]
        if unknown:
            named = ", ".join(str(one) for one in unknown)
            sentence = (
                f"protectedEmployeeIds: BMS has no employee {named}: choose them from "
                "/api/bms/employees."
            )
            problems.append(BadInput(422, sentence, field="protectedEmployeeIds"))
        manager = present.get(RecordId(values.get("manager_id", -1)))
        if manager is not None and not manager.is_active:
            sentence = f"managerId {manager.id} is inactive in BMS: choose an active employee."
            problems.append(BadInput(422, sentence, field="managerId"))
        if mode == "api" and not protected:
            problems.append(
                BadInput(
                    422,
                    'mode "api" needs protectedEmployeeIds: BMS does not show who is an '
                    "administrator, so name at least one employee whom this app must never touch.",
                    field="protectedEmployeeIds",
                )
            )
        if len(problems) == 1:
            raise problems[0]
        if problems:
            raise BadInputs(problems)
        fell_back = self._probe() if mode == "api" else ""
        at = self.now()
        before = self.store.get()
        after = self.store.update(
            lambda now: replace(
                now,
                values=dict(values),
                protected=frozenset(RecordId(one) for one in protected),
                mode="worklist" if fell_back else mode,
                fell_back=fell_back,
                fell_back_at=at if fell_back else None,
            )
        )
        for connection in self.connections.list():
            troubles.clear_seen(self.connections, connection, {trouble_texts.EMPLOYEES})
        self._re_evaluate(before, after)
        notes = (f"{fell_back} The mode stays worklist.",) if fell_back else ()
        return Shown(after, licences(self.worklist.list()), notes)

    def stored(self) -> EmployeeDefaults | None:
        """As they were saved; None before."""
        held = self.store.get()
        return None if held == EmployeeDefaults() else held

    def checked(self, defaults: EmployeeDefaults) -> EmployeeDefaults:
        """Defaults of a backup as they would be kept; the API mode is switched on by hand alone."""
        before = self.store.get()
        by_api = defaults.by_api and before.by_api and bool(defaults.protected)
        return replace(
            before,
            values=dict(defaults.values),
            protected=defaults.protected,
            mode="api" if by_api else "worklist",
        )

    def restore(self, defaults: EmployeeDefaults) -> None:
        """Defaults of a backup; ids that BMS does not know show when somebody is decided."""
        before = self.store.get()
        after = self.store.update(
            lambda now: replace(
                now, values=defaults.values, protected=defaults.protected, mode=defaults.mode
            )
        )
        self._re_evaluate(before, after)

    def _probe(self) -> str:
        """Why BMS cannot be written by the API; "" when it seems to be possible."""
        try:
            self.writer.probe()
        except RouteMissing as error:
            return error.sentence
        except PersonMustAct as error:
            raise BadInput(
                422, f"{error.sentence} {error.next_step} Nothing was saved.", field="mode"
            ) from error
        return ""

    def _re_evaluate(self, before: EmployeeDefaults, after: EmployeeDefaults) -> None:
        """R5: everybody whom the change touches is looked at again."""
        same = (before.values, before.protected, before.mode) == (
            after.values,
            after.protected,
            after.mode,
        )
        if same:
            return
        touched = {
            rule.connection_id
            for rule in self.rules.edited()
            if rule.record_type is RecordType.EMPLOYEE
        } | {item.connection_id for item in self.worklist.list()}
        for connection in self.connections.list():
            if connection.id in touched:
                self.re_evaluation.order(connection.id, gather=True)
