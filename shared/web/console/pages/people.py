"""One person: why he is which record in BMS, or why he is none; and his sync by hand."""

from __future__ import annotations

from shared.core.matching import key
from shared.web.api.activity import ActivityList
from shared.web.api.explain import ExplainedField, ExplanationShown
from shared.web.api.users import UserList, UserShown, UserSynced
from shared.web.console.inside import Refused, at
from shared.web.console.names import all_connections
from shared.web.console.pages.records import RECORDS
from shared.web.console.visits import Onward, Page, View, Visit
from shared.web.console.words import deed

PERSON = "/console/people/{connectionId}/{user}"
_LINES = 20
_DECIDED_AT = {  # what waits for a person, and the page where he decides it
    "hold": "/console/waiting/holds",
    "conflict": "/console/waiting/conflicts",
    "failure": "/console/waiting/failures",
    "worklist": "/console/waiting/worklist",
}
_CHOICES = 10


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", PERSON, person),
        Page("GET", f"{PERSON}/activity", lines_of_person),
        Page("POST", f"{PERSON}/sync", sync_now),
    ]


def address_of(connection_id: str, user: str) -> str:
    """The page of a person."""
    return at("/console/people/{}/{}", connection_id, user)


def person(visit: Visit) -> View:
    """GET /console/people/{connectionId}/{user}."""
    return _person(visit)


def _person(visit: Visit, trouble: Refused | None = None) -> View:
    connection_id, user = visit.path["connectionId"], visit.path["user"].strip()
    try:
        explained = visit.api.get(
            ExplanationShown, at("/api/users/{}/{}/explain", connection_id, user)
        )
    except Refused as refused:
        if refused.status not in (404, 409):
            raise
        return _not_found(visit, connection_id, user, refused)
    winner = next((rule for rule in explained.rules if rule.verdict == "won"), None)
    values = {
        "here": RECORDS,
        "it": explained,
        "winner": winner,
        "groups": [
            group for group in explained.groups if not winner or group.rule_id == winner.rule_id
        ],
        "name": _name(explained, user),
        "edited": {each.field for each in explained.fields if _is_edited(each)},
        "address": address_of(connection_id, explained.user_id),
        "trouble": trouble,
        "decided_at": _DECIDED_AT,
    }
    return View("person.html", values, status=trouble.status if trouble else 200)


def _not_found(visit: Visit, connection_id: str, user: str, refused: Refused) -> View:
    """Nobody of that id, or several of that name: whom the tenant knows, to choose from."""
    known = [each for each in all_connections(visit.api) if each.id == connection_id]
    people: list[UserShown] = []
    if known and known[0].connected_at is not None:
        try:
            people = visit.api.get(
                UserList, at("/api/users/{}", connection_id), q=user, limit=_CHOICES
            ).items
        except Refused:
            people = []  # the sentence above stands alone
    values = {
        "here": RECORDS,
        "refused": refused,
        "connection": known[0] if known else None,
        "sought": user,
        "people": people,
    }
    return View("person_missing.html", values, status=refused.status)


def lines_of_person(visit: Visit) -> View:
    """GET …/activity: what was done for him, as a part of his page; comes after the reasons."""
    connection_id, user = visit.path["connectionId"], visit.path["user"]
    found = visit.api.get(
        ActivityList,
        "/api/activity",
        connectionId=connection_id,
        userId=user,
        limit=_LINES,
    )
    values = {
        "here": RECORDS,
        "found": found,
        "connection_id": connection_id,
        "user_id": user,
        "back": address_of(connection_id, user),
    }
    template = "person_activity.html" if visit.wants_part else "person_activity_page.html"
    return View(template, values)


def sync_now(visit: Visit) -> View | Onward:
    """POST …/sync: this one person now, and what was decided."""
    connection_id, user = visit.path["connectionId"], visit.path["user"]
    try:
        outcome = visit.api.post(UserSynced, at("/api/users/{}/{}/sync", connection_id, user))
    except Refused as refused:
        return _person(visit, refused)
    return Onward(address_of(connection_id, outcome.user_id), _said(outcome))


def _said(outcome: UserSynced) -> str:
    reason = outcome.reason.rstrip(".")
    if outcome.queued:
        return f"Not possible at this moment: {reason}."
    if outcome.activity is None:
        up_to_date = reason == "is up to date"
        return f"Synced, and nothing was to be done: {'it ' if up_to_date else ''}{reason}."
    return f"Synced. {deed(outcome.activity.kind)}: {reason}."


def _is_edited(field: ExplainedField) -> bool:
    """Whether BMS holds something else than this app wrote there; an address ignores case."""
    written, in_bms = field.written, field.in_bms
    if written is None or in_bms is None:
        return False
    return key(written) != key(in_bms) if "@" in written else written != in_bms


def _name(explained: ExplanationShown, asked: str) -> str:
    user, link = explained.user, explained.link
    name = (user.display_name or user.user_principal_name) if user else ""
    return name or (link.display_name if link else "") or asked
