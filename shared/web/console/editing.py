"""Two people who edit the same settings: the second is told, and nothing of the first is lost.

A form carries a mark of what it was opened with; it is saved only over exactly that.
"""

from __future__ import annotations

import hashlib

import msgspec

from shared.web.console.forms import Form
from shared.web.console.inside import Refused


def mark_of(held: object) -> str:
    """A short text that is another one as soon as anything in it is."""
    return hashlib.sha256(msgspec.json.encode(held)).hexdigest()[:16]


def refuse_if_edited(form: Form, held: object) -> None:
    """Refused 409 when something else is held now than when the form was opened."""
    mark = form.text("mark")
    if not mark:
        raise Refused(400, "This form is not whole, so nothing was saved: open the page again.")
    if mark != mark_of(held):
        raise Refused(
            409,
            "Somebody else has saved these settings while you were editing, so yours were not.",
            "Compare below what you have entered with what is saved now, then save again.",
        )
