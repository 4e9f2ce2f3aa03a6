"""What goes back, what stays and why (core)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.model import (
    Activity,
    ContactPhone,
    FieldChange,
    Link,
    LinkState,
    RecordId,
    RecordType,
    Trace,
)
from shared.core.undo import (
    ALREADY,
    NO_LINK,
    OTHER_RECORD,
    TOO_OLD,
    WROTE_NOTHING,
    OtherRecord,
    SameRecord,
    put_back,
    undo_step,
)
from tests.builders import CONNECTION, LONG_AGO, TYPES, WORK, a_contact, a_link, a_phone, an_email


def a_line(kind: str = "update", *, trace: Trace | None = None, **fields: object) -> Activity:
    standard: dict[str, object] = {
        "at": LONG_AGO,
        "connection_id": CONNECTION,
        "kind": kind,
        "reason": "changed in Entra",
        "origin": "sweep",
        "record_id": RecordId(500),
        "changes": (FieldChange("job title", "Clerk", "Chief"),),
        "trace": trace,
    }
    return Activity(**(standard | fields))  # type: ignore[arg-type]


HIS = a_link()


@pytest.mark.parametrize(
    ("line", "link", "why"),
    [
        (a_line(trace=Trace(HIS), undone_by="u1"), HIS, ALREADY),
        (a_line(), HIS, TOO_OLD),
        (a_line("skip"), HIS, WROTE_NOTHING),
        (a_line(trace=Trace(HIS)), None, NO_LINK),
        (a_line(trace=Trace(HIS)), replace(HIS, record_id=RecordId(501)), OTHER_RECORD),
        (a_line(trace=Trace(HIS, RecordType.EMPLOYEE)), HIS, OTHER_RECORD),
        (a_line("deactivate", trace=Trace(HIS), changes=()), HIS, WROTE_NOTHING),
    ],
)
def test_what_cannot_be_undone_says_why(line: Activity, link: Link | None, why: str) -> None:
    assert undo_step(line, link) == why


def test_a_creation_undone_is_a_deactivation_whatever_it_wrote() -> None:
    new = replace(HIS, state=LinkState.PENDING, record_id=None)
    step = undo_step(a_line("create", trace=Trace(new, created=True)), HIS)

    assert step == SameRecord(RecordId(500), (FieldChange("active", "no", "yes"),))


def test_a_move_undone_leads_to_the_record_before_r17() -> None:
    before = replace(HIS, record_id=RecordId(400))
    step = undo_step(a_line("move", trace=Trace(before, created=True)), HIS)

    assert isinstance(step, OtherRecord)
    assert (step.taken, step.back_to, step.activate) == (500, 400, True)


@pytest.mark.parametrize(
    ("held", "sent", "refused"),
    [
        ("Chief", {"JobTitle": "Clerk"}, ()),
        ("Clerk", {}, ()),
        ("Boss", {}, ("job title: edited in BMS since",)),
        ("Chair", {}, ("job title: decided again since",)),
    ],
)
def test_a_field_goes_back_only_from_what_was_written(
    held: str, sent: dict[str, object], refused: tuple[str, ...]
) -> None:
    change = FieldChange("job title", "Clerk", "Chief")
    record = a_contact(job_title=held)
    before = {"JobTitle": "Clerk"}

    done = put_back(record, [change], types=TYPES, written={"JobTitle": "Chair"}, before=before)

    assert (done.fields, done.refused) == (sent, refused)
    assert done.written["JobTitle"] == ("Chair" if refused else "Clerk")


def test_an_added_address_is_taken_off_and_the_old_default_is_back() -> None:
    emails = (an_email("old@x.example"), an_email("new@x.example", default=True))
    change = FieldChange("e-mail", "old@x.example", "new@x.example")

    done = put_back(
        a_contact(emails=emails),
        [change],
        types=TYPES,
        written={},
        before={},
        added=["new@x.example"],
    )

    assert [(one.operation, one.value) for one in done.emails] == [
        ("update", "old@x.example"),
        ("remove", "new@x.example"),
    ]


@pytest.mark.parametrize(
    ("held", "old", "new", "operations", "refused"),
    [
        (("2",), "1", "2", ["update"], 0),
        (("2",), "", "2", ["remove"], 0),
        ((), "1", "", ["add"], 0),
        (("3",), "1", "", [], 1),
        (("3",), "1", "2", [], 1),
        (("1",), "1", "2", [], 0),
    ],
)
def test_a_phone_goes_back_by_its_type_r11(
    held: tuple[str, ...], old: str, new: str, operations: list[str], refused: int
) -> None:
    phones: tuple[ContactPhone, ...] = tuple(a_phone(number, WORK) for number in held)
    change = FieldChange("work phone", old, new)

    done = put_back(a_contact(phones=phones), [change], types=TYPES, written={}, before={})

    assert [one.operation for one in done.phones] == operations
    assert len(done.refused) == refused
