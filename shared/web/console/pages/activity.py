"""Activity: what was decided for whom, when and why; new lines are announced, never pushed in.

The list stays as it is while it is read: every ten seconds its script asks how many lines have
come since, and offers them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from shared.web.api.activity import ActivityList
from shared.web.api.records import RecordList, RecordShown
from shared.web.console.inside import Refused
from shared.web.console.names import all_connections, connection_options
from shared.web.console.visits import Page, View, Visit
from shared.web.console.words import KINDS

ACTIVITY = "/console/activity"
_A_PAGE = 50
_CHOICES = 10
_GUID = re.compile(r"\s*[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\s*")
_KIND_OPTIONS = [("", "Everything"), *KINDS.items()]
_FILTER = ("connectionId", "kind", "person", "userId", "day", "zone")


@dataclass(frozen=True, slots=True)
class Who:
    """Whose lines are wanted: one person, everybody, or a name that several people bear."""

    user_id: str = ""
    name: str = ""
    choices: tuple[RecordShown, ...] = ()
    unknown: bool = False


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", ACTIVITY, activity),
        Page("GET", f"{ACTIVITY}/newer", newer),
    ]


def activity(visit: Visit) -> View:
    """GET /console/activity."""
    connections = all_connections(visit.api)
    who = _who(visit)
    wrong_day = ""
    since: datetime | None = None
    try:
        since = _since(visit.asked("day"), visit.asked("zone"))
    except (ValueError, OverflowError):  # the day before the first one there is
        wrong_day = "This is no date: choose one, or write it as 2026-03-31."
    found = ActivityList(items=[], next_cursor=None)
    if not (who.unknown or who.choices or wrong_day):
        found = _lines(visit, who.user_id, since, limit=_A_PAGE, cursor=visit.asked("cursor"))
    newest = found.items[0] if found.items else None
    asked = {name: visit.asked(name) for name in _FILTER if visit.asked(name)}
    values = {
        "connection_id": visit.asked("connectionId"),
        "kind": visit.asked("kind"),
        "person": visit.asked("person"),
        "day": visit.asked("day"),
        "wrong_day": wrong_day,
        "who": who,
        "asked": asked,
        "connections": connections,
        "connection_options": connection_options(connections),
        "tenants": {each.id: each.tenant_domain for each in connections},
        "kinds": _KIND_OPTIONS,
        "found": found,
        "filtered": any(name != "zone" for name in asked),
        "everybody": _address({k: v for k, v in asked.items() if k not in ("person", "userId")}),
        "back": _address(asked),
        "watch": ""
        if visit.asked("cursor") or who.unknown or who.choices
        else _watch(
            asked, who.user_id, newest.id if newest else "", newest.at if newest else visit.now
        ),
    }
    return View("activity.html", values)


def newer(visit: Visit) -> View:
    """GET /console/activity/newer: how many lines have come since the page was opened."""
    try:
        since: datetime | None = datetime.fromisoformat(visit.asked("after"))
    except ValueError as error:
        raise Refused(400, "The address of this page is not whole: open Activity again.") from error
    found = _lines(visit, visit.asked("userId"), since, limit=_A_PAGE)
    known = [index for index, each in enumerate(found.items) if each.id == visit.asked("known")]
    asked = {name: visit.asked(name) for name in _FILTER if visit.asked(name)}
    values = {
        "lines": known[0] if known else len(found.items),
        "or_more": not known and found.next_cursor is not None,
        "address": _address(asked),
    }
    return View("activity_newer.html", values)


def _lines(
    visit: Visit, user_id: str, since: datetime | None, *, limit: int, cursor: str = ""
) -> ActivityList:
    return visit.api.get(
        ActivityList,
        "/api/activity",
        connectionId=visit.asked("connectionId"),
        kind=visit.asked("kind"),
        userId=user_id,
        since=since.isoformat() if since else None,
        limit=limit,
        cursor=cursor,
    )


def _who(visit: Visit) -> Who:
    """Whom the filter names: an id at once, a name through the records."""
    chosen, typed = visit.asked("userId"), visit.asked("person")
    sought = chosen or typed
    if not sought:
        return Who()
    found = visit.api.get(
        RecordList,
        "/api/records",
        q=sought,
        connectionId=visit.asked("connectionId"),
        limit=_CHOICES,
    ).items
    if _GUID.fullmatch(sought):
        return Who(sought, found[0].display_name if found else "")
    exact = [each for each in found if sought.casefold() in _names(each)]
    people = exact or found
    if len(people) == 1:
        return Who(people[0].user_id, people[0].display_name)
    return Who(choices=tuple(people), unknown=not people)


def _names(record: RecordShown) -> set[str]:
    names = (record.user_id, record.display_name, record.user_principal_name, record.address)
    return {name.casefold() for name in names}


def _since(day: str, zone: str) -> datetime | None:
    """The beginning of that day, `zone` minutes east of UTC, as the reader's browser says."""
    if not day:
        return None
    begin = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    minutes = int(zone) if re.fullmatch(r"-?\d{1,3}", zone) else 0
    return begin - timedelta(minutes=minutes)


def _watch(asked: Mapping[str, str], user_id: str, known: str, after: datetime | None) -> str:
    at = after.isoformat() if after else ""
    query = {**asked, "userId": user_id, "known": known, "after": at}
    given = {name: value for name, value in query.items() if value}
    return f"{ACTIVITY}/newer?{urlencode(given)}"


def _address(asked: Mapping[str, str]) -> str:
    return f"{ACTIVITY}?{urlencode(asked)}" if asked else ACTIVITY
