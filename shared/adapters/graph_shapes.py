"""What Graph's JSON means in our words. Nearly every property may be null; unknown ones may come.

Texts stay as given but for control characters and broken surrogates, which neither tables nor BMS
can hold. A page holds up to 999 users, so the usual case (a printable string) is one check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from shared.core.model import EntraGroup, EntraUser, GroupId, UserId
from shared.core.times import moment
from shared.ports import DeltaItem, MemberChange

# Everything that decisions need (R4, R6, R7, R11); the delta queries track the same.
USER_FIELDS: Final = (
    "id,displayName,givenName,surname,mail,userPrincipalName,proxyAddresses,businessPhones,"
    "mobilePhone,jobTitle,department,accountEnabled,userType"
)
GROUP_FIELDS: Final = (
    "id,displayName,createdDateTime,visibility,groupTypes,securityEnabled,mailEnabled"
)

_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_guid(text: str) -> bool:
    """Whether this looks like an object id."""
    return _GUID.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Whether this can stand in an address as an object id."""
    return _ID.fullmatch(text) is not None


def text_of(value: object) -> str:
    """A property as text; absent, null and odd shapes are the empty string."""
    if isinstance(value, str):
        return value if value.isprintable() else _cleaned(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def _cleaned(value: str) -> str:
    # A line break between two words stands for a blank.
    return _UNWANTED.sub("", re.sub(r"[\t\r\n]+", " ", value))


def user_of(row: Mapping[str, Any]) -> EntraUser:
    """A user object as we know it."""
    get = row.get
    upn = text_of(get("userPrincipalName"))
    kind = get("userType")
    phones = get("businessPhones")
    proxies = get("proxyAddresses")
    return EntraUser(
        id=UserId(text_of(get("id")).lower()),
        upn=upn,
        mail=text_of(get("mail")),
        display_name=text_of(get("displayName")),
        given_name=text_of(get("givenName")),
        surname=text_of(get("surname")),
        job_title=text_of(get("jobTitle")),
        department=text_of(get("department")),
        business_phone=text_of(phones[0]) if isinstance(phones, list) and phones else "",
        mobile_phone=text_of(get("mobilePhone")),
        proxy_addresses=tuple(text_of(entry) for entry in proxies if isinstance(entry, str))
        if isinstance(proxies, list)
        else (),
        enabled=get("accountEnabled") is not False,  # null on old objects; only false blocks
        # Very old objects have no type; a guest's UPN then still shows what he is.
        guest=kind.lower() == "guest" if isinstance(kind, str) and kind else "#EXT#" in upn.upper(),
    )


def users_of(rows: Iterable[object]) -> list[EntraUser]:
    """The users of a page; anything without an id is left out."""
    return [user_of(row) for row in rows if isinstance(row, dict) and row.get("id")]


class _UserRow(msgspec.Struct, gc=False, rename="camel"):
    id: str
    display_name: str | None = None
    given_name: str | None = None
    surname: str | None = None
    mail: str | None = None
    user_principal_name: str | None = None
    proxy_addresses: list[str] | None = None
    business_phones: list[str] | None = None
    mobile_phone: str | None = None
    job_title: str | None = None
    department: str | None = None
    account_enabled: bool | None = None
    user_type: str | None = None


class _UserPage(msgspec.Struct, gc=False):
    value: list[_UserRow]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


_USER_PAGE: Final = msgspec.json.Decoder(_UserPage)


_TEXTS: Final = (
    "id",
    "display_name",
    "given_name",
    "surname",
    "mail",
    "user_principal_name",
    "mobile_phone",
    "job_title",
    "department",
)


def users_page(content: bytes) -> tuple[list[EntraUser], str] | None:
    """A page of users with the link to the next one; None when anything in it is of an odd shape.

    The same as `users_of`, without the steps in between.
    """
    try:
        page = _USER_PAGE.decode(content)
    except msgspec.MsgspecError:
        return None
    rows = [row for row in page.value if row.id]
    # A text with a control character holds one of these bytes; most pages hold none.
    if b"\\" in content or b"\x7f" in content or b"\xc2" in content:
        for row in rows:
            _clean(row)
    return [_user_of_row(row) for row in rows], page.next_link or ""


def _clean(row: _UserRow) -> None:
    for name in _TEXTS:
        value = getattr(row, name)
        if value is not None and not value.isprintable():
            setattr(row, name, _cleaned(value))
    for texts in (row.proxy_addresses, row.business_phones):
        if texts:
            texts[:] = map(text_of, texts)


def _user_of_row(row: _UserRow) -> EntraUser:
    upn = row.user_principal_name or ""
    kind = row.user_type
    return EntraUser(
        id=UserId(row.id.lower()),
        upn=upn,
        mail=row.mail or "",
        display_name=row.display_name or "",
        given_name=row.given_name or "",
        surname=row.surname or "",
        job_title=row.job_title or "",
        department=row.department or "",
        business_phone=row.business_phones[0] if row.business_phones else "",
        mobile_phone=row.mobile_phone or "",
        proxy_addresses=tuple(row.proxy_addresses) if row.proxy_addresses else (),
        enabled=row.account_enabled is not False,
        guest=kind.lower() == "guest" if kind else "#EXT#" in upn.upper(),
    )


def group_of(row: Mapping[str, Any]) -> EntraGroup:
    """A group object as we know it."""
    types = row.get("groupTypes")
    return EntraGroup(
        id=GroupId(text_of(row.get("id")).lower()),
        name=text_of(row.get("displayName")),
        created_at=moment(row.get("createdDateTime")),
        hidden=text_of(row.get("visibility")).lower() == "hiddenmembership",
        kind=_kind(
            [text_of(entry).lower() for entry in types] if isinstance(types, list) else [],
            row.get("securityEnabled") is True,
            row.get("mailEnabled") is True,
        ),
    )


def _kind(types: list[str], security: bool, mail: bool) -> str:
    if "unified" in types:
        return "microsoft365"
    if security:
        return "mail-enabled security" if mail else "security"
    return "distribution" if mail else "security"


def delta_items(rows: Iterable[object]) -> tuple[DeltaItem, ...]:
    """The items of a delta page, as hints."""
    return tuple(
        DeltaItem(
            id=text_of(row["id"]).lower(),
            removed="@removed" in row,
            members=_members(row.get("members@delta")),
        )
        for row in rows
        if isinstance(row, dict) and row.get("id")
    )


def _members(rows: object) -> tuple[MemberChange, ...]:
    if not isinstance(rows, list):
        return ()
    return tuple(
        MemberChange(
            id=text_of(row["id"]).lower(),
            is_group=_is_group(row.get("@odata.type")),
            removed="@removed" in row,  # an object in delta replies, a string in notifications
        )
        for row in rows
        if isinstance(row, dict) and row.get("id")
    )


def _is_group(odata_type: object) -> bool | None:
    if not isinstance(odata_type, str) or not odata_type:
        return None
    return odata_type.lower().rstrip().endswith(".group")


def is_group_row(row: object) -> bool:
    """Whether an entry of a mixed list is a group, or does not say what it is."""
    return isinstance(row, dict) and _is_group(row.get("@odata.type")) is not False
