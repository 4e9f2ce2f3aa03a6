"""The IT Glue settings: on or off, the key, which account goes where, and passing on everybody."""

from __future__ import annotations

import re
from typing import Any

from shared.web.api.itglue import AccountList, EverybodyList, ItGlueShown, NamedList
from shared.web.api.status import StatusShown
from shared.web.console.editing import mark_of, refuse_if_edited
from shared.web.console.forms import NOTHING_WRONG, Wrong, wrong_of
from shared.web.console.inside import Inside, Refused
from shared.web.console.visits import Onward, Page, View, Visit

ITGLUE = "/console/settings/itglue"
ORGANIZATION = f"{ITGLUE}/accounts/{{accountId}}"
EVERYBODY = "/api/itglue/pass-on-everybody"
_API = "/api/settings/itglue"
_A_PAGE = 50
_ACCOUNT = re.compile("[0-9]{1,18}")
_INPUTS = ("enabled", "apiUrl", "apiKey", "inactiveContactTypeId")


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", ITGLUE, itglue),
        Page("POST", ITGLUE, save),
        Page("GET", f"{ITGLUE}/accounts", accounts),
        Page("GET", ORGANIZATION, organizations),
        Page("POST", ORGANIZATION, choose),
        Page("GET", f"{ITGLUE}/everybody", progress),
        Page("POST", f"{ITGLUE}/everybody", pass_on_everybody),
    ]


def itglue(visit: Visit) -> View:
    """GET /console/settings/itglue."""
    held = visit.api.get(ItGlueShown, _API)
    typed = {
        "enabled": held.enabled,
        "apiUrl": held.api_url,
        "inactiveContactTypeId": str(held.inactive_contact_type_id or ""),
    }
    return _form(visit.api, held, typed, NOTHING_WRONG, 200)


def save(visit: Visit) -> View | Onward:
    """POST /console/settings/itglue: the API reads from IT Glue before it saves."""
    form = visit.form
    held = visit.api.get(ItGlueShown, _API)
    body = _body(held)
    body["enabled"] = form.ticked("enabled")
    body["apiUrl"] = form.text("apiUrl")
    if "inactiveContactTypeId" in form.values:  # only shown when the list could be read
        body["inactiveContactTypeId"] = form.number("inactiveContactTypeId")
    if form.ticked("removeKey"):
        body["apiKey"] = None
    elif form.secret("apiKey").strip():
        body["apiKey"] = form.secret("apiKey").strip()
    try:
        refuse_if_edited(form, held)
        saved = visit.api.put(ItGlueShown, _API, body)
    except Refused as refused:
        typed: dict[str, Any] = {name: form.text(name) for name in _INPUTS if name != "apiKey"}
        typed["enabled"] = form.ticked("enabled")
        return _form(visit.api, held, typed, wrong_of(refused), refused.status)
    said = "Saved: IT Glue is off." if not saved.enabled else "IT Glue answered, and it is saved."
    return Onward(ITGLUE, said)


def accounts(visit: Visit) -> View:
    """GET /console/settings/itglue/accounts: where each account of BMS goes."""
    found = visit.api.get(
        AccountList, "/api/itglue/accounts", limit=_A_PAGE, cursor=visit.asked("cursor")
    )
    return View("settings_itglue_accounts.html", {"found": found})


def organizations(visit: Visit) -> View:
    """GET /console/settings/itglue/accounts/{accountId}: choose an organization for an account."""
    return _organizations(visit, NOTHING_WRONG, 200)


def _organizations(visit: Visit, wrong: Wrong, status: int) -> View:
    found = visit.api.get(
        NamedList,
        "/api/itglue/organizations",
        q=visit.asked("q"),
        limit=_A_PAGE,
        cursor=visit.asked("cursor"),
    )
    held = visit.api.get(ItGlueShown, _API)
    account_id = visit.path["accountId"]
    chosen = _chosen_for(held, account_id)
    values = {
        "account_id": account_id,
        "name": visit.asked("name"),
        "found": found,
        "sought": visit.asked("q"),
        "chosen": chosen,
        "mark": mark_of(chosen),
        "wrong": wrong,
    }
    template = "settings_itglue_found.html" if visit.wants_part else "settings_itglue_choose.html"
    return View(template, values, status)


def choose(visit: Visit) -> View | Onward:
    """POST /console/settings/itglue/accounts/{accountId}: this one, or again the one that fits."""
    held = visit.api.get(ItGlueShown, _API)
    account_id, chosen = visit.path["accountId"], visit.form.number("organizationId")
    if not _ACCOUNT.fullmatch(account_id):
        raise Refused(404, "There is no such account: choose one from the list.")
    try:
        refuse_if_edited(visit.form, _chosen_for(held, account_id))
    except Refused as refused:
        if refused.status != 409:
            raise
        words = "Somebody else has chosen for this account meanwhile: see below, then choose again."
        return _organizations(visit, Wrong(words), refused.status)
    body = _body(held)
    body["organizations"] = [
        each for each in body["organizations"] if str(each["accountId"]) != account_id
    ]
    if chosen is not None:
        body["organizations"].append({"accountId": int(account_id), "organizationId": chosen})
    visit.api.put(ItGlueShown, _API, body)
    said = "Chosen." if chosen is not None else "The organization is found by itself again."
    return Onward(f"{ITGLUE}/accounts", said)


def progress(visit: Visit) -> View:
    """GET /console/settings/itglue/everybody: how far that job is."""
    return View("settings_itglue_everybody.html", _progress(visit.api))


def pass_on_everybody(visit: Visit) -> Onward:
    """POST /console/settings/itglue/everybody."""
    visit.api.post(EverybodyList, EVERYBODY)
    return Onward(ITGLUE, "Everybody is being passed on.")


def _body(held: ItGlueShown) -> dict[str, Any]:
    """The settings as they are, as a body; the key stays where it is."""
    return {
        "enabled": held.enabled,
        "apiUrl": held.api_url,
        "inactiveContactTypeId": held.inactive_contact_type_id,
        "organizations": [
            {"accountId": each.account_id, "organizationId": each.organization_id}
            for each in held.organizations
        ],
    }


def _chosen_for(held: ItGlueShown, account_id: str) -> int | None:
    """The organization that somebody chose for this account by hand."""
    found = {str(each.account_id): each.organization_id for each in held.organizations}
    return found.get(account_id)


def _progress(api: Inside) -> dict[str, Any]:
    jobs = api.get(EverybodyList, EVERYBODY).items
    return {
        "jobs": len(jobs),
        "running": sum(1 for each in jobs if each.state != "done"),
        "passed": sum(each.done for each in jobs),
    }


def _form(api: Inside, held: ItGlueShown, typed: dict[str, Any], wrong: Wrong, status: int) -> View:
    types: list[tuple[str, str]] | None = None
    if held.has_api_key:
        try:
            found = api.get(NamedList, "/api/itglue/contacttypes", limit=200).items
            types = [("", "none: leavers stay as they are"), *((str(e.id), e.name) for e in found)]
        except Refused:
            types = None
    values = {
        "held": held,
        "mark": mark_of(held),
        "typed": typed,
        "wrong": wrong,
        "inputs": _INPUTS,
        "types": types,
        "standing": api.get(StatusShown, "/api/status").it_glue if held.enabled else None,
        **_progress(api),
    }
    return View("settings_itglue.html", values, status)
