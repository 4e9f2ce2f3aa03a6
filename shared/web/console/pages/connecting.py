"""Connect: from the button to Microsoft's sign-in (R28).

A form may not be answered with a redirect to another origin (the policy's form-action), so the
answer is a page that leads on by itself and by a link. The cookie that binds the flow to this
browser goes along with it.
"""

from __future__ import annotations

from shared.web.api.connect import ConnectStarted
from shared.web.console.inside import at
from shared.web.console.pages.connections import ONE
from shared.web.console.setup_steps import connection_of
from shared.web.console.visits import Page, View, Visit


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("POST", f"{ONE}/connect", connect)]


def connect(visit: Visit) -> View:
    """POST /console/connections/{id}/connect."""
    connection = connection_of(visit.api, visit.path["connectionId"])
    answer = visit.api.ask("POST", at("/api/connections/{}/connect", connection.id))
    address = answer.read(ConnectStarted).authorize_url
    cookies = tuple(pair for pair in answer.reply.headers if pair[0].lower() == "set-cookie")
    return View(
        "connecting.html",
        {"connection": connection, "address": address},
        headers=(("Refresh", f"0; url={address}"), *cookies),
    )
