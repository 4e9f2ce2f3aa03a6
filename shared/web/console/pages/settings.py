"""Settings: BMS with a test of the sign-in, the way to IT Glue, and the backup."""

from __future__ import annotations

from typing import Any

from shared.web.api.bms import BmsShown, ChoiceList
from shared.web.api.deployment import DeploymentShown
from shared.web.api.itglue import ItGlueShown
from shared.web.console.editing import mark_of, refuse_if_edited
from shared.web.console.forms import NOTHING_WRONG, Form, Wrong, wrong_of
from shared.web.console.inside import Inside, Refused
from shared.web.console.rendering import file_reply
from shared.web.console.visits import Onward, Page, View, Visit
from shared.web.http import JSON, Reply

SETTINGS = "/console/settings"
BMS_API = "/api/settings/bms"
_TEXTS = ("apiUrl", "gatewayUrl", "tenant", "userName")
_NUMBERS = (
    "hourlyLimit",
    "hourlyLimitV1",
    "limitWindowSeconds",
    "emailTypeId",
    "workPhoneTypeId",
    "mobilePhoneTypeId",
)
_INPUTS = (*_TEXTS, "password", *_NUMBERS, "freshShare")


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", SETTINGS, settings),
        Page("GET", f"{SETTINGS}/bms", bms),
        Page("POST", f"{SETTINGS}/bms", save_bms),
        Page("POST", f"{SETTINGS}/bms/test", test_bms),
        Page("GET", f"{SETTINGS}/backup", backup),
    ]


def settings(visit: Visit) -> View:
    """GET /console/settings."""
    values = {
        "bms": visit.api.get(BmsShown, BMS_API),
        "itglue": visit.api.get(ItGlueShown, "/api/settings/itglue"),
        "app": visit.api.get(DeploymentShown, "/api/settings/app"),
    }
    return View("settings.html", values)


def bms(visit: Visit) -> View:
    """GET /console/settings/bms."""
    held = visit.api.get(BmsShown, BMS_API)
    return _form(visit.api, held, _held(held), NOTHING_WRONG, 200)


def save_bms(visit: Visit) -> View | Onward:
    """POST /console/settings/bms: the API signs in with these settings before it saves them."""
    held = visit.api.get(BmsShown, BMS_API)
    try:
        refuse_if_edited(visit.form, held)
        saved = visit.api.put(BmsShown, BMS_API, _body(visit.form))
    except Refused as refused:
        typed = {name: visit.form.text(name) for name in _INPUTS if name != "password"}
        return _form(visit.api, held, typed, wrong_of(refused), refused.status)
    said = f"Signed in to BMS as {saved.user_name} of {saved.tenant}, and saved."
    first = not held.has_password or not held.tenant
    return Onward("/console/guide" if first else SETTINGS, said)


def test_bms(visit: Visit) -> View | Onward:
    """POST /console/settings/bms/test: saving the same again signs in with what is stored."""
    held = visit.api.get(BmsShown, BMS_API)
    try:
        visit.api.put(BmsShown, BMS_API, held)
    except Refused as refused:
        return _form(visit.api, held, _held(held), wrong_of(refused), refused.status)
    said = f"The sign-in works: BMS let {held.user_name} of {held.tenant} in just now."
    return Onward(SETTINGS, said)


def backup(visit: Visit) -> Reply:
    """GET /console/settings/backup: the whole configuration as a file, without secrets."""
    answer = visit.api.ask("GET", "/api/export")
    name = answer.header("Content-Disposition").partition('filename="')[2].rstrip('"')
    return file_reply(answer.reply.body, JSON, name)


def _held(held: BmsShown) -> dict[str, str]:
    """The settings as the inputs show them."""
    return {
        "apiUrl": held.api_url,
        "gatewayUrl": held.gateway_url,
        "tenant": held.tenant,
        "userName": held.user_name,
        "hourlyLimit": str(held.hourly_limit),
        "hourlyLimitV1": str(held.hourly_limit_v1),
        "limitWindowSeconds": str(held.limit_window_seconds),
        "freshShare": f"{held.fresh_share * 100:g}",
        "emailTypeId": str(held.email_type_id or ""),
        "workPhoneTypeId": str(held.work_phone_type_id or ""),
        "mobilePhoneTypeId": str(held.mobile_phone_type_id or ""),
    }


def _body(form: Form) -> dict[str, Any]:
    body: dict[str, Any] = {name: form.text(name) for name in _TEXTS}
    for name in _NUMBERS:
        value = form.number(name)
        if value is not None or name.endswith("TypeId"):
            body[name] = value
    percent = form.number("freshShare")
    if percent is not None:
        body["freshShare"] = percent if isinstance(percent, str) else percent / 100
    if form.secret("password"):
        body["password"] = form.secret("password")
    return body


def _form(api: Inside, held: BmsShown, typed: dict[str, str], wrong: Wrong, status: int) -> View:
    types = {"emailtypes": _choices(api, held, "emailtypes")}
    types["phonetypes"] = _choices(api, held, "phonetypes")
    values = {
        "held": held,
        "mark": mark_of(held),
        "typed": typed,
        "wrong": wrong,
        "inputs": _INPUTS,
        "types": types,
    }
    return View("settings_bms.html", values, status)


def _choices(api: Inside, held: BmsShown, kind: str) -> list[tuple[str, str]] | None:
    """The entries of one of BMS's lists; None when BMS cannot be asked for them."""
    if not held.has_password:
        return None
    try:
        found = api.get(ChoiceList, f"/api/bms/{kind}", limit=200).items
    except Refused:
        return None
    return [("", "the one that BMS calls so"), *((str(each.id), each.name) for each in found)]
