"""What nobody outside Kaseya knows, as switches.

The vendor's OpenAPI file is exact on names and silent on behaviour. Wherever a client could meet
either of two behaviours, the stand-in has a switch; the default is the assumption that the
project's reference page makes, and the other values are there to prove that a client survives
when the assumption is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Switches:
    """Every uncertain behaviour of BMS, with the assumed one as default."""

    # Replies
    reply_casing: Literal["camel", "pascal"] = "camel"
    single_summary: Literal["enveloped", "bare"] = "enveloped"
    timestamps: Literal["utc", "zoneless"] = "utc"
    token_expiry: Literal["given", "omitted"] = "given"
    validation_status: Literal[200, 400] = 200
    not_found_status: Literal[404, 200] = 404
    auth_failure_status: Literal[401, 403, 200] = 401
    signin_refused_status: Literal[401, 400, 200] = 401
    # ASP.NET's own refusal of a body: problem details, BMS's envelope, or an empty 400.
    bad_request_body: Literal["problem", "envelope", "none"] = "problem"

    # Requests. ASP.NET usually ignores members that it does not know; refusing them finds typing
    # errors of a client that the real service would swallow.
    unknown_members: Literal["refuse", "ignore"] = "refuse"
    wrong_types: Literal["refuse", "coerce"] = "refuse"
    unknown_query: Literal["ignore", "refuse"] = "ignore"

    # Lists
    first_page: Literal[1, 0] = 1
    default_page_size: int = 50
    max_page_size: int = 100
    over_max_page_size: Literal["cap", "refuse"] = "cap"
    # Between requests: within a page (harmless), one place further on, or wholly anew.
    row_order: Literal["stable", "within", "drift", "shuffle"] = "stable"
    string_filters: Literal["contains", "exact"] = "contains"
    filters_ignore_case: bool = True
    is_active_absent: Literal["both", "active"] = "both"
    # Whether an e-mail filter sees every address of a contact or the default one only.
    summary_email_filter: Literal["all", "default"] = "all"
    search_email_filter: Literal["default", "all"] = "default"

    # Writes of contacts
    phone_required: bool = False
    inactive_account: Literal["refuse", "allow"] = "refuse"
    inactive_location: Literal["refuse", "allow"] = "refuse"
    patch_account_id: Literal["refuse", "ignore", "allow"] = "refuse"
    patch_location_id: Literal["allow", "ignore", "refuse"] = "allow"
    # Members that PATCH and PUT take with success and leave as they were.
    patch_ignores: tuple[str, ...] = ()
    # Member name of the request (FirstName, JobTitle, EmailAddress, PhoneNumber) to characters.
    max_lengths: Mapping[str, int] = field(default_factory=dict)
    over_length: Literal["refuse", "truncate"] = "refuse"
    # What 0, 1 and 2 mean in the PATCH of e-mails and phones.
    operations: tuple[str, ...] = ("add", "update", "delete")
    new_default: Literal["unsets_former", "refused", "keeps_both"] = "unsets_former"
    default_email_deletion: Literal["refuse", "allow"] = "refuse"
    default_phone_deletion: Literal["refuse", "allow"] = "refuse"
    only_phone_deletion: Literal["refuse", "allow"] = "refuse"
    same_entry_twice: Literal["allow", "refuse"] = "allow"

    # Look-up tables whose names are not published
    email_type_table: str = "EmailType"
    phone_type_table: str = "PhoneType"
    employment_type_table: str = "EmploymentType"
    type_tables_in: Literal["system", "tenant", "both"] = "system"
    contact_module_id: int = 3

    # Tokens
    access_token_seconds: float = 3600
    refresh_token_seconds: float = 86400
    v1_token_seconds: float = 7775999
    tokens_interchangeable: bool = False

    # Hourly limit
    rate_limit_on: bool = True
    rate_limit: int = 1500
    rate_window_seconds: float = 3600
    v1_rate_limit: int = 500
    # Own limits of single endpoints: "PATCH /v2/crm/contacts/{id}" to calls per window.
    rate_limits: Mapping[str, int] = field(default_factory=dict)
    # Whether a call that was answered with 429 uses up the limit too.
    rate_counts_refused: bool = False
    retry_after: Literal["seconds", "date", "omit"] = "seconds"

    # v1
    v1_employees: Literal["off", "read", "write"] = "off"

    def with_changes(self, changes: Mapping[str, object]) -> Switches:
        """Return these switches with some set anew; ValueError names a wrong name or value."""
        kinds = get_type_hints(Switches)
        for name, value in changes.items():
            if name not in kinds:
                raise ValueError(f"there is no switch named {name!r}")
            if not _fits(kinds[name], value):
                raise ValueError(f"switch {name} cannot be {value!r}; it takes {kinds[name]}")
        plain = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in changes.items()
        }
        changed = replace(self, **plain)  # type: ignore[arg-type]  # checked by _fits above
        if sorted(changed.operations) != ["add", "delete", "update"]:
            raise ValueError("switch operations names add, update and delete once each")
        return changed

    def as_json(self) -> dict[str, Any]:
        """Return all switches as plain JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }


def _fits(kind: Any, value: object) -> bool:
    if get_origin(kind) is Literal:
        # True == 1 in Python, so the type is compared too.
        return any(value == each and type(value) is type(each) for each in get_args(kind))
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is str:
        return isinstance(value, str)
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(each, int) for key, each in value.items()
    )
