"""Every page of the console by a short name: what a browser asks for, or what a person presses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.browser.console import Console

Places = Mapping[str, str]

# By name in braces: see Customer.places.
ADDRESSES = {
    "connections": "/console/connections",
    "connections-none-found": "/console/connections?q=nobody",
    "connection-new": "/console/connections/new",
    "connection": "{connection}",
    "connection-draft": "{draft}",
    "connection-options": "{connection}/options",
    "connection-delete": "{connection}/delete",
    "guide": "/console/guide",
    "guide-draft": "/console/guide?connection={draft_id}",
    "rules-choose": "/console/rules",
    "rules": "{connection}/rules",
    "rules-none": "{draft}/rules",
    "employee-defaults": "/console/employee-defaults",
    "records": "/console/records",
    "records-in-entra": "/console/records/entra?q=Gus",
    "records-none-found": "/console/records?q=nobody+at+all",
    "person": "{staff_1}",
    "person-hostile": "{script}",
    "person-conflict": "{double}",
    "person-held": "{staff_10}",
    "person-failed": "{refused}",
    "person-guest": "{guest}",
    "person-technician": "{technician}",
    "person-lines": "{staff_1}/activity",
    "activity": "/console/activity",
    "activity-none-found": "/console/activity?person=nobody",
    "drift": "/console/drift",
    "undone": "/console/undone/{undone}?connectionId={id}&back=/console/activity",
    "syncs": "/console/syncs?connectionId={id}",
    "sync": "/console/syncs/{sync}",
    "waiting": "/console/waiting",
    "holds": "/console/waiting/holds",
    "holds-decided": "/console/waiting/holds?state=decided",
    "conflicts": "/console/waiting/conflicts",
    "conflict": "/console/waiting/conflicts/{conflict}",
    "failures": "/console/waiting/failures",
    "worklist": "/console/waiting/worklist",
    "status": "/console/status",
    "settings": "/console/settings",
    "settings-bms": "/console/settings/bms",
    "settings-itglue": "/console/settings/itglue",
    "settings-itglue-accounts": "/console/settings/itglue/accounts",
    "settings-itglue-choose": "/console/settings/itglue/accounts/{account}?name=Acme",
    "settings-restore": "/console/settings/restore",
    "api": "/console/api",
}
MISSING = {
    "person-missing": "{people}/Nobody",
    "error": "/console/there-is-no-such-page",
}


def _check(console: Console, places: Places) -> None:
    console.open(f"{places['connection']}/check")
    console.page.locator("#verdict").wait_for(timeout=30_000)


def _rule_form(console: Console, places: Places) -> None:
    console.open(f"{places['connection']}/rules")
    console.press("Add a rule")


def _rule_form_refused(console: Console, places: Places) -> None:
    _rule_form(console, places)
    console.page.get_by_label("Order").fill("-1")
    console.press("Add to the draft")


def _rules_unsaved(console: Console, places: Places) -> None:
    console.open(f"{places['connection']}/rules")
    console.press("Disable the rule of Technicians")


def _preview(console: Console, places: Places) -> None:
    console.open(f"{places['connection']}/rules")
    console.press("Remove the rule of Optics staff")
    console.press("Preview")
    console.reads("people looked at", seconds=30)


def _connection_refused(console: Console, places: Places) -> None:
    console.open("/console/connections/new")
    console.press("Add the connection")


def _bms_refused(console: Console, places: Places) -> None:
    console.open("/console/settings/bms")
    console.page.get_by_label("API address").fill("nonsense")
    console.press("Sign in and save")


def _restore_plan(console: Console, places: Places) -> None:
    console.open("/console/settings/restore")
    console.page.get_by_label("Its content").fill('{"format": 1, "connections": "none"}')
    console.press("See what it would do")


def _connecting(console: Console, places: Places) -> None:
    # The page leads on by itself; here it has to stay.
    microsoft = re.compile("^https?://(login.microsoftonline.com|127.0.0.1)")
    console.page.route(microsoft, lambda route: route.abort("aborted"))
    console.open(places["connection"])
    console.press("Connect again")


def _connected(console: Console, places: Places) -> None:
    console.open("/OAuth/IntegrationCallback.aspx?state=nonsense&code=nonsense")


STEPS: dict[str, Callable[[Console, Places], None]] = {
    "check": _check,
    "rule-form": _rule_form,
    "rule-form-refused": _rule_form_refused,
    "rules-unsaved": _rules_unsaved,
    "preview": _preview,
    "connection-new-refused": _connection_refused,
    "settings-bms-refused": _bms_refused,
    "settings-restore-plan": _restore_plan,
    "connecting": _connecting,
    "callback-refused": _connected,
}

# Pages and parts of pages that take queries.
QUERIED = (
    "/console/connections",
    "/console/guide",
    "/console/rules",
    "{connection}/check",
    "{connection}/rules",
    "{connection}/groups/part",
    "{connection}/rules/progress/part",
    "{connection}/previews/none/part",
    "/console/bms/accounts/part",
    "/console/bms/nonsense/part",
    "/console/bms/locations/choice/part",
    "/console/records",
    "/console/records/entra",
    "{people}/%3Cscript%3Edocument.title='owned'%3C%2Fscript%3E",
    "{staff_1}",
    "{staff_1}/activity",
    "/console/activity",
    "/console/activity/newer",
    "/console/drift",
    "/console/undone/{undone}",
    "/console/syncs",
    "/console/syncs/{sync}",
    "/console/waiting",
    "/console/waiting/count",
    "/console/waiting/holds",
    "/console/waiting/conflicts",
    "/console/waiting/failures",
    "/console/waiting/worklist",
    "/console/waiting/worklist.csv",
    "/console/status",
    "/console/status/now",
    "/console/settings",
    "/console/settings/itglue/accounts",
    "/console/settings/itglue/accounts/{account}",
    "/console/settings/itglue/everybody",
    "/console/api",
    "/console/sign-in",
    "/console/<script>document.title='owned'</script>",
)
