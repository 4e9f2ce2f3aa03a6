"""A form that could not be carried out: kept on the page that says so, to be sent once more.

The session had ended, or something was away: what was typed stays in hidden inputs. Passwords and
keys are never put back into a page; the reader is told to enter them again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from shared.web.console.forms import Form
from shared.web.console.visits import HOME, inside

_SECRET = re.compile(r"password|secret|token|key$", re.IGNORECASE)
_ADDRESS, _INPUTS = "kept_address", "kept_inputs"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the form goes, and its inputs. `secrets`: whether some of them were left out."""

    address: str
    inputs: Sequence[tuple[str, str]]
    secrets: bool = False

    def written(self) -> dict[str, str]:
        """The same as inputs of another form, which brings it along."""
        return {_ADDRESS: self.address, _INPUTS: urlencode(self.inputs)}


def kept(address: str, form: Form) -> Kept:
    """What of this form may stand on a page."""
    inputs: list[tuple[str, str]] = []
    secrets = False
    for name, values in form.values.items():
        if _SECRET.search(name):
            secrets |= name != "form_token" and any(values)
        else:
            inputs += [(name, value) for value in values]
    return Kept(inside(address, HOME), inputs, secrets)


def brought_along(form: Form) -> Kept | None:
    """The kept form that another one brings along; None when it brings none."""
    address = inside(form.text(_ADDRESS), "")
    if not address:
        return None
    pairs = parse_qsl(form.secret(_INPUTS), keep_blank_values=True)
    return Kept(address, pairs, form.text("secrets") == "yes")
