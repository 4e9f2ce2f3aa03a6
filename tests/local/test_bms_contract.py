"""The BMS stand-in against the vendor's OpenAPI file: routes, replies, request bodies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.bms.process import BmsProcess, start_bms
from infra.local.bms.replies import camel
from infra.local.bms.routes import V2_ROUTES
from tests.local.bms_wire import DOCUMENT, Answer, Wire, check_reply, operation_of

# Routes of the vendor's file that the stand-in leaves out, each with the reason.
LEFT_OUT: dict[str, str] = {}


@pytest.fixture(scope="module")
def running() -> Iterator[BmsProcess]:
    with start_bms() as process:
        yield process


@pytest.fixture
def wire(running: BmsProcess) -> Wire:
    running.control.reset()
    return Wire(running)


def reads(wire: Wire) -> dict[str, str]:
    """Return a concrete path for every GET of the file."""
    seeded = wire.control.seed_demo()
    account, contact = seeded["accounts"]["Contoso"], seeded["contacts"]["plain"]
    location = seeded["locations"]["Contoso Main"]
    field = wire.control.add_custom_field("Entra object id")
    wire.call("PUT", f"/v2/system/customFields/data/3/{contact}/{field}", {"Value": "a-b-c"})
    wire.control.set_itglue(
        True,
        [
            {"kind": kind, "id": number, "itglue_id": 2**40 + number, "name": kind}
            for kind, number in (
                ("accounts", account),
                ("contacts", contact),
                ("locations", location),
            )
        ],
    )
    values = {
        "accountId": account,
        "contactId": contact,
        "assigneeId": 903,
        "moduleId": 3,
        "objectId": contact,
        "tableName": "EmailType",
        "locationId": location,
    }
    paths: dict[str, str] = {}
    for template, operations in DOCUMENT["paths"].items():
        if "get" not in operations:
            continue
        path = template
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", str(value))
        paths[template] = path.replace("{id}", str(contact if "contacts" in path else account))
    own_location = "/v2/admin/workflows/timezone/501"
    paths["/v2/admin/workflows/timezone/{locationId}"] = own_location
    return paths


def test_the_routes_served_are_those_of_the_file() -> None:
    declared = {
        f"{method.upper()} {template}"
        for template, operations in DOCUMENT["paths"].items()
        for method in operations
    }

    assert {route.endpoint for route in V2_ROUTES} == declared - set(LEFT_OUT)


@pytest.mark.parametrize("casing", ["camel", "pascal"])
@pytest.mark.parametrize("shape", ["enveloped", "bare"])
@pytest.mark.parametrize("zone", ["utc", "zoneless"])
def test_every_read_answers_as_the_file_declares(
    wire: Wire, casing: str, shape: str, zone: str
) -> None:
    wire.control.set_switches(
        reply_casing=casing, single_summary=shape, timestamps=zone, type_tables_in="both"
    )

    for template, path in reads(wire).items():
        answer = wire.call("GET", path, Tenant="Northwind MSP")
        assert answer.status == 200, (template, answer.body)
        # A list without rows would prove nothing about its rows.
        result = answer.body.get("result", answer.body)
        assert result or result == 0, template


def test_camel_case_is_what_dotnet_makes_of_a_name() -> None:
    made = {camel(name) for name in ("IsPoc", "ITGlueAccountId", "PictureURL", "ID", "isActive")}

    assert made == {"isPoc", "itGlueAccountId", "pictureURL", "id", "isActive"}


def test_replies_are_camel_case_by_default_and_pascal_case_by_switch(wire: Wire) -> None:
    camel_case = wire.call("GET", "/v2/hr/assignees/count").raw
    wire.control.set_switches(reply_casing="pascal")

    assert camel_case == b'{"success":true,"error":null,"result":2}'
    assert (
        wire.call("GET", "/v2/hr/assignees/count").raw
        == b'{"Success":true,"Error":null,"Result":2}'
    )


def test_a_switch_of_casing_reaches_rows_that_were_sent_before(wire: Wire) -> None:
    wire.control.seed_demo()
    wire.get("/v2/crm/contacts/summary")

    wire.control.set_switches(reply_casing="pascal")

    assert b'"IsPoc"' in wire.call("GET", "/v2/crm/contacts/summary").raw


def test_paths_query_names_and_body_members_may_have_any_casing(wire: Wire) -> None:
    account = wire.customer()
    body = {name.upper(): value for name, value in wire.new_contact(account).items()}

    wire.call("POST", "/V2/CRM/Contacts/SUMMARY", body)

    assert len(wire.get("/v2/CRM/contacts/Summary", filter__ACCOUNTID=account.id)) == 1


def test_an_unknown_route_is_404_and_a_wrong_method_405(wire: Wire) -> None:
    assert wire.call("GET", "/v2/crm/people").status == 404
    assert wire.call("POST", "/v2/crm/contacts", {}).status == 404
    wrong_method = wire.call("POST", "/v2/hr/assignees/count", {}, check=False)
    assert (wrong_method.status, wrong_method.headers["Allow"]) == (405, "GET")


def test_a_route_that_only_the_vendor_has_is_501_not_404(wire: Wire) -> None:
    assert wire.call("GET", "/v2/integrations/itglue/accessinfo").status == 501


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "/v2/crm/contacts/summary", {"Nickname": "M"}, "Nickname"),
        ("POST", "/v2/crm/contacts/summary", {"JobTitle": "CEO"}, "JobTitle"),
        ("POST", "/v2/crm/contacts/summary", {"AccountId": "5001"}, "AccountId"),
        ("POST", "/v2/crm/contacts/summary", {"LocationId": None}, "LocationId"),
        ("POST", "/v2/crm/contacts/summary", {"AccountId": 2**31}, "AccountId"),
        ("POST", "/v2/crm/contacts/summary", {"Emails": [{"TypeId": 1}]}, "TypeId"),
        ("POST", "/v2/crm/contacts/summary", {"Phones": [{"Phone": "1"}]}, "Phone"),
        ("POST", "/v2/crm/contacts/summary", {"Emails": [{"IsDefault": 1}]}, "IsDefault"),
        ("POST", "/v2/crm/contacts/summary", [], "object"),
        ("PATCH", "/v2/crm/contacts/1", {"op": "replace"}, "array"),
        ("PATCH", "/v2/crm/contacts/1", [{"op": "replace", "target": "/x"}], "target"),
        ("PATCH", "/v2/crm/contacts/1", [{"op": 2, "path": "/JobTitle"}], "op"),
        ("PATCH", "/v2/crm/contacts/1/emails", [{"Operation": 3}], "Operation"),
        ("PATCH", "/v2/crm/contacts/1/emails", [{"Operation": "Add"}], "Operation"),
        ("PATCH", "/v2/crm/contacts/1/emails", [{"EmailTypeId": 1}], "EmailTypeId"),
        ("PATCH", "/v2/crm/contacts/1/phones", [{"Phone": "1"}], "Phone"),
        ("PUT", "/v2/crm/contacts/1", {"EffectiveDate": "soon"}, "EffectiveDate"),
    ],
)
def test_a_body_that_the_file_does_not_allow_is_refused_with_400(
    wire: Wire, method: str, path: str, body: Any, named: str
) -> None:
    only = wire.control.add_contact(wire.customer().id, emails=["a@contoso.example"]).id

    answer = wire.call(method, path.replace("/1", f"/{only}"), body)

    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert named.lower() in str(answer.body["errors"]).lower()


def test_unknown_members_are_swallowed_when_switched(wire: Wire) -> None:
    wire.control.set_switches(unknown_members="ignore")

    answer = wire.call(
        "POST",
        "/v2/crm/contacts/summary",
        wire.new_contact(wire.customer(), JobTitle="CEO"),
        check=False,
    )

    assert wire.control.get_contact(answer.result["id"]).job_title is None


def test_wrong_types_are_converted_when_switched(wire: Wire) -> None:
    account = wire.customer()
    wire.control.set_switches(wrong_types="coerce")

    answer = wire.call(
        "POST",
        "/v2/crm/contacts/summary",
        wire.new_contact(account, AccountId=str(account.id)),
        check=False,
    )

    assert answer.result["accountid"] == account.id


@pytest.mark.parametrize(
    ("shape", "expected"), [("envelope", b'"success":false'), ("none", b"")], ids=str
)
def test_the_400_of_a_bad_body_has_another_shape_when_switched(
    wire: Wire, shape: str, expected: bytes
) -> None:
    wire.control.set_switches(bad_request_body=shape)

    answer = wire.call("POST", "/v2/crm/contacts/summary", {"No": 1}, check=False)

    assert answer.status == 400
    assert expected in answer.raw
    assert bool(answer.raw) == bool(expected)


@pytest.mark.parametrize(
    "kind", ["application/json", "text/json", "application/json-patch+json", "application/x+json"]
)
def test_every_declared_content_type_is_taken(wire: Wire, kind: str) -> None:
    contact = wire.control.add_contact(wire.customer().id)
    operation = [{"op": "replace", "path": "/JobTitle", "value": "Chief"}]

    answer = wire.call("PATCH", f"/v2/crm/contacts/{contact.id}", operation, content_type=kind)

    assert answer.result["jobtitle"] == "Chief"


def test_any_other_content_type_is_415(wire: Wire) -> None:
    answer = wire.call("PATCH", "/v2/crm/contacts/1", [], content_type="text/plain", check=False)

    assert answer.status == 415


@pytest.mark.parametrize("word", ["abc", "-1", "99999999999", "1.5"])
def test_an_id_that_is_no_number_is_400(wire: Wire, word: str) -> None:
    assert wire.call("GET", f"/v2/crm/contacts/summary/{word}").status == 400


def test_an_unknown_query_name_is_ignored_but_noted(wire: Wire) -> None:
    wire.control.seed_demo()

    answer = wire.call("GET", "/v2/crm/contacts/summary", Filter__Id=1)

    assert answer.body["totalrecords"] == 7
    assert wire.control.counters().ignored_query == {"GET /v2/crm/contacts/summary ?filter.id": 1}


def test_an_unknown_query_name_is_400_when_switched(wire: Wire) -> None:
    wire.control.set_switches(unknown_query="refuse")

    assert wire.call("GET", "/v2/crm/contacts/summary", Filter__Id=1).status == 400


def test_the_checker_itself_refuses_an_undeclared_member() -> None:
    operation = operation_of("GET", "/v2/hr/assignees/count")
    assert operation is not None
    body = {"success": True, "error": None, "result": 1, "extra": 1}

    with pytest.raises(Exception, match="extra"):
        check_reply(operation, Answer(200, body, {}, b"x"))
