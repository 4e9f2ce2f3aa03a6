"""Employee Defaults: what an employee's mandatory fields hold where Entra has nothing (R3, R26)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.web.api.employees import DefaultsShown
from shared.web.console import lookups
from shared.web.console.editing import mark_of, refuse_if_edited
from shared.web.console.forms import NOTHING_WRONG, Form, Wrong, wrong_of
from shared.web.console.inside import Inside, Refused
from shared.web.console.pages.rule_words import KINDS, OVERRIDES
from shared.web.console.visits import Onward, Page, View, Visit

_HERE = "/console/employee-defaults"
_PROTECTED = "protectedEmployeeIds"
_SETTINGS = (*OVERRIDES, _PROTECTED, "mode")


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", _HERE, look), Page("POST", _HERE, save)]


def look(visit: Visit) -> View:
    """GET: the defaults as they are."""
    now = visit.api.get(DefaultsShown, "/api/employee-defaults")
    values = _held(now)
    return _page(visit.api, now, values, {}, mark_of(values), NOTHING_WRONG)


def save(visit: Visit) -> View | Onward:
    """POST: saved; or a search in one of the lists, where no script does it."""
    now = visit.api.get(DefaultsShown, "/api/employee-defaults")
    if not {"mark", "mode", *OVERRIDES} <= visit.form.values.keys():
        raise Refused(400, "This form is not whole, so nothing was saved: open the page again.")
    values, mark = _typed(visit.form), visit.form.text("mark")
    searches = {name: visit.form.text(f"{name}_q") for name in (*OVERRIDES, _PROTECTED)}
    if visit.form.text("do") == "search":
        return _page(visit.api, now, values, searches, mark, NOTHING_WRONG)
    held = _held(now)
    try:
        refuse_if_edited(visit.form, held)
        saved = visit.api.put(DefaultsShown, "/api/employee-defaults", values)
    except Refused as refused:
        # Marked anew: who has been told of the other's edit may save over it.
        return _page(visit.api, now, values, {}, mark_of(held), wrong_of(refused), refused.status)
    said = "Saved. Everybody whom the change touches is looked at again within a minute."
    return Onward(_HERE, " ".join([said, *saved.notes]))


def _held(now: DefaultsShown) -> dict[str, Any]:
    """What the form is about, as it is saved; the rest changes by itself."""
    given = msgspec.to_builtins(now)
    return {name: given[name] for name in _SETTINGS}


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
    mark: str,
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
            "mark": mark,
            "saved": _differing(api, now, values) if status == 409 else [],
        },
        status,
    )


def _differing(api: Inside, now: DefaultsShown, typed: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is saved where the form holds something else: the input's label, and the value."""
    found: list[tuple[str, str]] = []
    for name, value in _held(now).items():
        if value == typed[name]:
            continue
        if name == "mode":
            found.append(("How employees get into BMS", "API" if value == "api" else "worklist"))
            continue
        kind = "employees" if name == _PROTECTED else KINDS[name]
        ids = _ids(value if name == _PROTECTED else [value])
        chosen = lookups.picker(api, kind, ids, many=name == _PROTECTED).chosen
        words = ", ".join(one.name for one in chosen) or "not set"
        found.append((OVERRIDES.get(name, "Protected employees"), words))
    return found


def _ids(values: Sequence[object]) -> list[int]:
    return [value for value in values if isinstance(value, int)]
