"""What nobody outside IT Glue knows, as switches.

The default is the assumption of the project's reference page; the other values are there to prove
that a client survives when the assumption is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Switches:
    """Every uncertain behaviour of IT Glue, with the assumed one as default."""

    refused_key_status: Literal[403, 401] = 403
    # The bodies of 401, 403, 404 and 429 are not published.
    bare_refusals: Literal["errors", "empty"] = "errors"
    # Which of the two forms that were seen in the wild a 422 has.
    error_form: Literal["title", "detail"] = "title"
    over_max_page: Literal["refuse", "clamp"] = "refuse"
    unknown_filter: Literal["refuse", "ignore"] = "refuse"
    email_filter: Literal["ignore_case", "exact", "contains"] = "ignore_case"
    name_filter: Literal["ignore_case", "contains"] = "ignore_case"

    # Contacts that a PSA syncs
    synced_patch: Literal["refuse", "allow"] = "refuse"
    psa_mark: Literal["shown", "absent"] = "shown"
    adapters: Literal["shown", "absent"] = "shown"

    # Writes
    array_patch: Literal["replace", "merge"] = "replace"
    unknown_label: Literal["create", "refuse"] = "create"
    plus_sign: Literal["keep", "strip"] = "keep"
    bulk_patch: Literal["all_or_nothing", "each"] = "all_or_nothing"

    # Limit: of one key, over all routes
    rate_limit_on: bool = True
    rate_limit: int = 3000
    rate_window_seconds: float = 300
    retry_after: Literal["omit", "seconds"] = "omit"

    def with_changes(self, changes: Mapping[str, object]) -> Switches:
        """Return these switches with some set anew; ValueError names a wrong name or value."""
        kinds = get_type_hints(Switches)
        for name, value in changes.items():
            if name not in kinds:
                raise ValueError(f"there is no switch named {name!r}")
            if not _fits(kinds[name], value):
                raise ValueError(f"switch {name} cannot be {value!r}; it takes {kinds[name]}")
        return replace(self, **changes)  # type: ignore[arg-type]  # checked by _fits above

    def as_json(self) -> dict[str, Any]:
        """Return all switches as plain JSON values."""
        return asdict(self)


def _fits(kind: Any, value: object) -> bool:
    if get_origin(kind) is Literal:
        return any(value == each and type(value) is type(each) for each in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind
