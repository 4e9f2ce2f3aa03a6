"""Links as the tables send them, straight into their digests.

A full sync reads every link of a connection, and nearly none of them matters beyond the question
whether it is as it was. So a page is decoded into the few columns that a digest is made of, and no
link is made of it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from shared.core.digest import Kind, LinkDigests


class _Row(msgspec.Struct, gc=False):
    user: str = msgspec.field(name="RowKey")
    state: str
    record_type: str = msgspec.field(name="recordType", default="contact")
    record: int = msgspec.field(name="recordId", default=-1)
    account: int = msgspec.field(name="accountId", default=-1)
    rule: str = msgspec.field(name="ruleId", default="")
    rule_account: int = msgspec.field(name="ruleAccountId", default=-1)
    location: int = msgspec.field(name="locationId", default=-1)
    fingerprint: str = ""
    reason: str = ""
    old_record: int = msgspec.field(name="oldRecordId", default=-1)
    task: str = ""
    hold: str = ""
    in_conflict: bool = msgspec.field(name="inConflict", default=False)
    refused: bool = False


class _Page(msgspec.Struct, gc=False):
    value: list[_Row]


_DECODER: Final = msgspec.json.Decoder(_Page)


def add_page(digests: LinkDigests, content: bytes) -> bool:
    """Remember the links of a page; False, and nothing is, when it has an unusual shape."""
    try:
        rows = _DECODER.decode(content).value
    except msgspec.MsgspecError:
        return False
    add = digests.add_row
    for row in rows:
        kind = Kind(
            row.state,
            row.hold,
            row.record_type,
            row.task.partition(":")[0],
            row.old_record >= 0,
            row.in_conflict,
            row.refused,
            row.account,
            row.rule_account,
            row.location,
            row.rule,
        )
        add(row.user, kind, row.record, row.fingerprint, row.reason)
    return True
