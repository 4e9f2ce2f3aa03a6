"""What was found in BMS's look-ups while a person types, for the forms that choose from them."""

from __future__ import annotations

import re

from shared.web.console import lookups
from shared.web.console.inside import Refused
from shared.web.console.visits import Page, View, Visit

_NAME = re.compile(r"[A-Za-z.]{1,60}")


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", "/console/bms/{kind}/part", found_part)]


def found_part(visit: Visit) -> View:
    """GET /console/bms/{kind}/part?name=: entries for the input of this name."""
    name = visit.asked("name")
    if not _NAME.fullmatch(name):
        raise Refused(400, "name must be the name of an input of the form.")
    found = lookups.choices(visit.api, visit.path["kind"], visit.asked(f"{name}_q"))
    many = visit.asked("many") == "yes"
    return View("bms_found.html", {"choices": found, "name": name, "many": many})
