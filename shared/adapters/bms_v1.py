"""BMS's older API (v1), for the one thing that v2 lacks: writing employees (bms-api.md 7.2, 8).

Nobody outside of Kaseya has seen its write route, so it is used with a probe first, every reply is
checked, and a 404 or 405 ends it for good (R26). v1 has tokens and an envelope of its own, in
PascalCase. Its update is a PUT, which blanks whatever it leaves out: the employee is read whole,
changed in memory and written whole, and when BMS shows less of him than it demands, nothing goes
out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from shared.adapters.bms_budget import BmsBudget
from shared.adapters.bms_session import PATIENCE, Reply
from shared.adapters.bms_tokens import LIFE_UNKNOWN, SIGN_IN_REFUSED, Token, Tokens
from shared.adapters.http import Answer, HttpClient, ended
from shared.adapters.http_session import PooledSession
from shared.core.budget import Lane
from shared.core.employee_fields import ACTIVE, LABELS, YES, ToWrite
from shared.core.model import BmsSettings, RecordId
from shared.errors import DecideAgain, PersonMustAct, Rejected, TryLater, Uncertain
from shared.ports import Now, RouteMissing, Vault

_EMPLOYEES: Final = "/api/hr/employees"
_TOKEN: Final = "/api/token"  # noqa: S105 - a path
_METHODS: Final = frozenset({"GET", "POST", "PUT"})
_PAGE: Final = 100
_MOST_PAGES: Final = 100
_LONGEST_LIFE: Final = timedelta(days=1)  # it is said to be 90 days; a fresh one costs one call
# Lists of ids in BMS, single values with us.
_MANY: Final = {"EmployeeRoleId": "EmployeeRoleIds", "SecurityRoleId": "SecurityRoleIds"}
_IDS: Final = frozenset(
    {"JobTitleId", "DepartmentId", "LocationId", "ManagerId", "EmploymentTypeId"}
)
_TEXTS: Final = frozenset({"FirstName", "LastName", "EmailAddress", "UserName", "EmployeeId"})
_MANDATORY: Final = (*sorted(_TEXTS), *sorted(_IDS), *sorted(_MANY.values()), "UserType", ACTIVE)
_NO_PHONES: Final = "BMS's employee route takes no phones: type them in BMS"


class EmployeesV1:
    """ports.EmployeeWriter."""

    def __init__(
        self,
        session: PooledSession,
        settings: Callable[[], BmsSettings],
        vault: Vault,
        budget: BmsBudget,
        now: Now,
        *,
        lane: Lane = Lane.FRESH,
        tokens: Tokens | None = None,
    ) -> None:
        self._session = session
        self._settings = settings
        self._vault = vault
        self._budget = budget
        self._now = now
        self._lane = lane
        self._tokens = tokens or Tokens(vault, now, self._sign_in)

    def bulk(self) -> EmployeesV1:
        """The same, paid for from the bulk share of the hourly limit (R25)."""
        given = (self._session, self._settings, self._vault, self._budget, self._now)
        return EmployeesV1(*given, lane=Lane.BULK, tokens=self._tokens)

    def probe(self) -> None:
        self._page(0, 1)

    def create(self, fields: Sequence[ToWrite]) -> tuple[RecordId, tuple[str, ...]]:
        missing = [LABELS[one.field] for one in fields if _is_needed(one) and not one.value]
        if missing:
            raise Rejected(
                f"BMS needs a value for {', '.join(missing)}.",
                "Enter it in the Employee Defaults.",
                code="employee-defaults",
            )
        body: dict[str, Any] = {"UserType": "Employee", ACTIVE: True}
        for one in fields:
            _set(body, one)
        result = _envelope(self._send("POST", _EMPLOYEES, _EMPLOYEES, body=body)).value("Result")
        # The reply's form is published nowhere: the employee, or the id alone.
        record_id = Reply(result).number("Id") if isinstance(result, Mapping) else None
        if record_id is None and isinstance(result, int) and not isinstance(result, bool):
            record_id = result
        if not record_id:
            raise Uncertain("BMS's answer to a new employee names no id.")
        return RecordId(record_id), _left_out(fields)

    def change(
        self,
        record_id: RecordId,
        fields: Sequence[ToWrite],
        before_write: Callable[[], None],
    ) -> tuple[str, ...]:
        row = self._row(record_id)
        if row is None:
            raise DecideAgain("The employee is gone in BMS.")
        names = {name.lower(): name for name in row}
        hidden = [name for name in _MANDATORY if name.lower() not in names]
        if hidden:
            raise RouteMissing(
                f"BMS does not show {', '.join(hidden)} of an employee, and a change would blank "
                "it.",
                "Employees go to the worklist: change them in BMS by hand.",
                code="employee-api",
            )
        if str(row[names["usertype"]]).lower() == "api employee":
            raise Rejected(
                f"Employee {record_id} is an API user, which this app never touches.",
                "Take him out of the mapped group.",
                code="employee-protected",
            )
        body = dict(row)
        for one in fields:
            _set(body, one, names)
            if one.field in _IDS:
                # The former name beside the new id might win.
                for name in (one.field[:-2], f"{one.field[:-2]}Name"):
                    body.pop(names.get(name.lower(), name), None)
        notes = _left_out(fields)
        if all(row[name] == value for name, value in body.items()):
            return notes
        path = f"{_EMPLOYEES}/{record_id}"
        before_write()
        answer = self._call("PUT", f"{_EMPLOYEES}/{{id}}", path, body=body)
        wrong = [
            name
            for name in body
            if name.lower() in answer and answer[name.lower()] != body[name] and name in _MANDATORY
        ]
        if wrong:
            raise Rejected(
                f"BMS took the change of an employee and shows other values of {', '.join(wrong)}.",
                "Look at the employee in BMS, and switch the API mode off.",
                code="employee-api",
            )
        return notes

    # --- calls ---------------------------------------------------------------------------------

    def _row(self, record_id: RecordId) -> dict[str, Any] | None:
        """One employee with the members as BMS spells them, found in the list itself.

        Whether a filter would find him is not known.
        """
        for number in range(_MOST_PAGES):
            rows = self._page(number * _PAGE, _PAGE)
            for row in rows:
                if Reply(row).number("Id") == record_id:
                    return row
            if len(rows) < _PAGE:
                return None
        return None

    def _page(self, skip: int, top: int) -> list[dict[str, Any]]:
        params = {"$top": str(top), "$skip": str(skip), "$orderby": "Id"}
        answer = self._send("GET", _EMPLOYEES, _EMPLOYEES, params=params)
        rows = _envelope(answer).value("Result", [])
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def _call(self, method: str, route: str, path: str, *, body: object) -> Reply:
        reply = _envelope(self._send(method, route, path, body=body))
        result = reply.value("Result")
        return Reply(result) if isinstance(result, Mapping) else Reply({})

    def _send(
        self,
        method: str,
        route: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Answer:
        settings = self._settings()
        brake = self._budget.meter(f"{method} {route}", self._lane)
        answer: Answer | None = None
        token = ""
        for _ in range(2):
            token = self._tokens.access(settings, refused=token)
            answer = self._client(settings).request(
                method,
                f"{settings.gateway_url}{path}",
                headers={"Authorization": f"Bearer {token}"},
                params=params,
                json_body=body,
                # A PUT of the whole record may be sent twice; a creation may not.
                idempotent=method != "POST",
                brake=brake,
            )
            if answer.status != 401:
                break
        assert answer is not None
        _check(answer, f"{method} {route}")
        return answer

    def _client(self, settings: BmsSettings) -> HttpClient:
        return HttpClient(self._session, "BMS", [settings.gateway_url], _METHODS, PATIENCE)

    def _sign_in(self, settings: BmsSettings, password: str) -> Token:
        answer = self._client(settings).request(
            "POST",
            f"{settings.gateway_url}{_TOKEN}",
            form={
                "grant_type": "password",
                "username": settings.user_name,
                "password": password,
                "tenant": settings.tenant,
            },
            idempotent=True,
            brake=self._budget.meter(f"POST {_TOKEN}", Lane.FRESH),
        )
        if answer.status in (404, 405):
            _check(answer, f"POST {_TOKEN}")
        reply = _parsed(answer)
        access = reply.text("access_token")
        if not answer.ok or not access:
            raise PersonMustAct(
                "BMS refused the sign-in to its older API, by which employees are written.",
                "Check the user in the BMS settings, or set the Employee Defaults to worklist.",
                code=SIGN_IN_REFUSED,
            )
        seconds = reply.number("expires_in")
        life = LIFE_UNKNOWN if not seconds else min(timedelta(seconds=seconds), _LONGEST_LIFE)
        return Token(access, self._now() + life * 0.75, settings.version)


def _is_needed(one: ToWrite) -> bool:
    return one.field in _MANDATORY or one.field in _MANY


def _left_out(fields: Sequence[ToWrite]) -> tuple[str, ...]:
    return (_NO_PHONES,) if any(one.field.endswith("Phone") for one in fields) else ()


def _set(body: dict[str, Any], one: ToWrite, names: Mapping[str, str] | None = None) -> None:
    """Put one field into the body, under the name that BMS itself uses."""
    name = _MANY.get(one.field, one.field)
    value: object = one.value
    if one.field == ACTIVE:
        value = one.value == YES
    elif one.field in _MANY:
        value = [int(one.value)]
    elif one.field in _IDS:
        value = int(one.value)
    elif one.field not in _TEXTS:
        return
    body[(names or {}).get(name.lower(), name)] = value


def _check(answer: Answer, endpoint: str) -> None:
    if answer.ok:
        return
    if answer.status in (404, 405):
        raise RouteMissing(
            f"BMS answers {answer.status} to {endpoint}: it does not offer to write employees.",
            "Employees go to the worklist: type them into BMS by hand.",
            code="employee-api",
        )
    if answer.status == 401:
        raise PersonMustAct(
            "BMS refuses the token of its older API that it has just issued.",
            "Check in BMS that the API user is active and has API access.",
            code=SIGN_IN_REFUSED,
        )
    words = _parsed(answer)
    said = words.text("error_description") or words.text("error") or f"HTTP {answer.status}"
    if answer.status == 403:
        raise PersonMustAct(
            f"BMS does not allow this app to write employees: {ended(said[:300])}",
            "Give the API user's security role the right to view and modify employees.",
            code="bms-rights",
        )
    raise _refused(said)


def _refused(said: str) -> Rejected:
    return Rejected(
        f"BMS refused: {ended(said[:300])}",
        "Correct the person in Entra, or the Employee Defaults.",
    )


def _envelope(answer: Answer) -> Reply:
    """A 200 may still say that it failed."""
    reply = _parsed(answer)
    code = reply.value("ResponseCode", 0)
    if str(code) not in ("0", "200") or reply.value("Success", True) is False:
        said = reply.text("Error") or reply.text("Status") or f"code {code}"
        raise _refused(said)
    return reply


def _parsed(answer: Answer) -> Reply:
    try:
        body = answer.json()
    except TryLater:
        if answer.status >= 400:
            return Reply({})
        raise
    return Reply(body) if isinstance(body, Mapping) else Reply({"Result": body})
