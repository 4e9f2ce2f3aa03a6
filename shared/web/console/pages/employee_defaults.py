"""Employee Defaults: what an employee's mandatory fields hold where Entra has nothing (R3, R26)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.web.api.employees import DefaultsShown
from shared.web.console import lookups
from shared.web.console.forms import NOTHING_WRONG, Form, Wrong, wrong_of
from shared.web.console.inside import Inside, Refused
from shared.web.console.pages.rule_words import KINDS, OVERRIDES
from shared.web.console.visits import Onward, Page, View, Visit

_HERE = "/console/employee-defaults"
_PROTECTED = "protectedEmployeeIds"


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", _HERE, look), Page("POST", _HERE, save)]


def look(visit: Visit) -> View:
    """GET: the defaults as they are."""
    now = visit.api.get(DefaultsShown, "/api/employee-defaults")
    given = msgspec.to_builtins(now)
    values = {name: given[name] for name in (*OVERRIDES, _PROTECTED, "mode")}
    return _page(visit.api, now, values, {}, NOTHING_WRONG)


def save(visit: Visit) -> View | Onward:
    """POST: saved; or a search in one of the lists, where no script does it."""
    now = visit.api.get(DefaultsShown, "/api/employee-defaults")
    values = _typed(visit.form)
    searches = {name: visit.form.text(f"{name}_q") for name in (*OVERRIDES, _PROTECTED)}
    if visit.form.text("do") == "search":
        return _page(visit.api, now, values, searches, NOTHING_WRONG)
    try:
        saved = visit.api.put(DefaultsShown, "/api/employee-defaults", values)
    except Refused as refused:
        return _page(visit.api, now, values, {}, wrong_of(refused), refused.status)
    said = "Saved. Everybody whom the change touches is looked at again within a minute."
    return Onward(_HERE, " ".join([said, *saved.notes]))


def _typed(form: Form) -> dict[str, Any]:
    values: dict[str, Any] = {name: form.number(name) for name in OVERRIDES}
    values[_PROTECTED] = form.numbers(_PROTECTED)
    values["mode"] = form.text("mode") or "worklist"
    return values


def _page(
    api: Inside,
    now: DefaultsShown,
    values: Mapping[str, Any],
    searches: Mapping[str, str],
    wrong: Wrong,
    status: int = 200,
) -> View:
    pickers = {
        name: lookups.picker(api, KINDS[name], _ids([values[name]]), q=searches.get(name, ""))
        for name in OVERRIDES
    }
    protected = lookups.picker(
        api, "employees", _ids(values[_PROTECTED]), q=searches.get(_PROTECTED, ""), many=True
    )
    everything = [*pickers.values(), protected]
    return View(
        "employee_defaults.html",
        {
            "now": now,
            "values": values,
            "labels": OVERRIDES,
            "pickers": pickers,
            "protected": protected,
            "missing": [label for name, label in OVERRIDES.items() if values[name] is None],
            "trouble": next((one.choices.trouble for one in everything if one.choices.trouble), ""),
            "wrong": wrong,
        },
        status,
    )


def _ids(values: Sequence[object]) -> list[int]:
    return [value for value in values if isinstance(value, int)]
