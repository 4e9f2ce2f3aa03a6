"""The IT Glue stand-in against what is published of IT Glue (itglue-api.md sections 2 to 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from infra.local.itglue.process import ItGlueProcess, start_itglue

JSON_API = "application/vnd.api+json"


class Wire:
    """A client of its own, without anything of the app."""

    def __init__(self, process: ItGlueProcess) -> None:
        self.control = process.control
        self._base = process.url
        self._session = requests.Session()
        self._session.trust_env = False
        self.contoso = self.control.add_organization("Contoso", psa_id=7)
        self.fabrikam = self.control.add_organization("Fabrikam, Inc.")

    def call(
        self, method: str, path: str, data: Any = None, key: str | None = None, **headers: str
    ) -> requests.Response:
        sent = {"x-api-key": self.control.key if key is None else key, **headers}
        if data is not None:
            sent.setdefault("Content-Type", JSON_API)
        body = {"data": data} if data is not None else None
        return self._session.request(
            method, f"{self._base}{path}", json=body, headers=sent, timeout=10
        )

    def get(self, path: str) -> Any:
        reply = self.call("GET", path)
        assert reply.status_code == 200, reply.text
        assert reply.headers["Content-Type"].startswith(JSON_API)
        return reply.json()

    def create(self, **attributes: Any) -> requests.Response:
        given = {"organization-id": self.contoso, "first-name": "Mara", "last-name": "Lind"}
        return self.call("POST", "/contacts", resource(**{**given, **attributes}))


def resource(**attributes: Any) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return {"type": "contacts", "attributes": named}


def email(address: str, *, primary: bool = True) -> dict[str, Any]:
    return {"value": address, "primary": primary, "label-name": "Work"}


@pytest.fixture(scope="module")
def process() -> Iterator[ItGlueProcess]:
    with start_itglue() as one:
        yield one


@pytest.fixture
def wire(process: ItGlueProcess) -> Wire:
    process.control.reset()
    return Wire(process)


# --- key, media type, limit --------------------------------------------------------------------


@pytest.mark.parametrize(("switch", "status"), [(403, 403), (401, 401)])
def test_a_wrong_or_missing_key_is_refused(wire: Wire, switch: int, status: int) -> None:
    wire.control.set_switches(refused_key_status=switch)
    assert wire.call("GET", "/contacts", key="wrong").status_code == status
    wire.control.set_switches(bare_refusals="empty")
    assert wire.call("GET", "/contacts", key="").content == b""


def test_a_body_of_another_media_type_is_415(wire: Wire) -> None:
    reply = wire.call("POST", "/contacts", resource(), **{"Content-Type": "application/json"})
    assert reply.status_code == 415
    with_charset = {"Content-Type": f"{JSON_API}; charset=utf-8"}
    made = resource(organization_id=wire.contoso)
    assert wire.call("POST", "/contacts", made, **with_charset).status_code == 201


def test_the_limit_counts_all_routes_of_a_key_together(wire: Wire) -> None:
    wire.control.set_switches(rate_limit=3, retry_after="seconds")
    statuses = [wire.call("GET", path).status_code for path in ("/contacts", "/organizations")] * 2
    replies = [wire.call("GET", "/contact_types") for _ in range(2)]

    assert statuses[:2] == [200, 200]
    assert [reply.status_code for reply in replies] == [200, 429]
    assert 290 <= int(replies[1].headers["Retry-After"]) <= 300
    wire.control.move_clock(301)
    assert wire.call("GET", "/contacts").status_code == 200


# --- lists -------------------------------------------------------------------------------------


def test_a_list_has_pages_meta_and_links(wire: Wire) -> None:
    wire.control.generate(wire.contoso, 120)

    first = wire.get("/contacts")
    third = wire.get("/contacts?page%5Bsize%5D=50&page[number]=3")

    assert len(first["data"]) == 50
    assert first["meta"]["current-page"] == 1
    assert (first["meta"]["next-page"], first["meta"]["prev-page"]) == (2, None)
    assert (first["meta"]["total-pages"], first["meta"]["total-count"]) == (3, 120)
    assert set(first["links"]) == {"self", "first", "prev", "next", "last"}
    assert (len(third["data"]), third["meta"]["next-page"]) == (20, None)


def test_a_page_of_more_than_a_thousand_is_refused_or_cut(wire: Wire) -> None:
    wire.control.generate(wire.contoso, 1100)
    assert wire.call("GET", "/contacts?page[size]=1001").status_code == 400
    wire.control.set_switches(over_max_page="clamp")
    assert len(wire.get("/contacts?page[size]=1001")["data"]) == 1000


def test_filters_join_by_and_and_commas_by_or(wire: Wire) -> None:
    one = wire.control.add_contact(wire.contoso, "Ada", "Lind", emails=["ada@x.example"])
    two = wire.control.add_contact(wire.contoso, "Ben", "Lind", emails=["ben@x.example"])
    wire.control.add_contact(wire.fabrikam, "Ada", "Lind", emails=["ada@x.example"])

    def ids(query: str) -> list[int]:
        return [int(each["id"]) for each in wire.get(f"/contacts?{query}")["data"]]

    at = f"filter[organization_id]={wire.contoso}"
    assert ids(f"{at}&filter[last_name]=lind") == [one, two]
    assert ids(f"{at}&filter[primary_email]=ADA@x.example") == [one]
    assert ids(f"{at}&filter[first_name]=Ada,Ben") == [one, two]
    assert ids(f"filter[id]={two}") == [two]
    found = wire.get("/organizations?filter[name]=Fabrikam\\, Inc.")["data"]
    assert [int(each["id"]) for each in found] == [wire.fabrikam]
    assert wire.call("GET", "/contacts?filter[nothing]=1").status_code == 400


def test_filters_do_not_work_on_the_nested_route(wire: Wire) -> None:
    wire.control.add_contact(wire.contoso, "Ada", "Lind")
    path = f"/organizations/{wire.contoso}/relationships/contacts?filter[first_name]=Nobody"
    assert len(wire.get(path)["data"]) == 1


def test_a_psa_id_needs_its_type(wire: Wire) -> None:
    number = wire.control.add_contact(wire.contoso, "Ada", "Lind", psa_id=500)
    assert wire.call("GET", "/contacts?filter[psa_id]=500").status_code == 400
    of_bms = "filter[psa_integration_type]=kaseya-bms"
    assert wire.get(f"/contacts?filter[psa_id]=500&{of_bms}")["data"][0]["id"] == str(number)
    assert wire.get(f"/organizations?filter[psa_id]=7&{of_bms}")["data"][0]["id"] == str(
        wire.contoso
    )


def test_a_synced_contact_points_to_the_psas_own_id(wire: Wire) -> None:
    wire.control.add_contact(wire.contoso, "Ada", "Lind", psa_id=500)
    shown = wire.get("/contacts?include=adapters_resources")
    [pointer] = shown["data"][0]["relationships"]["adapters-resources"]["data"]
    [included] = shown["included"]
    assert (included["type"], included["id"]) == (pointer["type"], pointer["id"])
    assert included["attributes"]["remote-id"] == "500"


# --- writes ------------------------------------------------------------------------------------


def test_a_contact_is_made_and_shown_as_the_documentation_shows_it(wire: Wire) -> None:
    place = wire.control.add_location(wire.contoso, "Berlin")
    kind = wire.control.types()["End User"]
    phone = {"value": "030 / 555-010", "extension": None, "primary": True, "label-name": "Work"}

    reply = wire.create(
        title="Controller",
        location_id=place,
        contact_type_id=kind,
        contact_emails=[email("mara.lind@contoso.example")],
        contact_phones=[phone],
    )

    assert reply.status_code == 201
    made = reply.json()["data"]
    values = made["attributes"]
    assert isinstance(made["id"], str)
    assert values["organization-id"] == wire.contoso
    assert (values["name"], values["contact-type-name"]) == ("Mara Lind", "End User")
    assert (values["location-name"], values["organization-name"]) == ("Berlin", "Contoso")
    [shown] = values["contact-phones"]
    assert shown["value"] == "030555010"
    assert (shown["label-type"], shown["formatted-value"]) == ("phone", "030 555010")
    assert values["created-at"].endswith("Z")


def test_snake_case_is_taken_as_well(wire: Wire) -> None:
    data = {
        "type": "contacts",
        "attributes": {"organization_id": wire.contoso, "first_name": "Mara"},
    }
    assert wire.call("POST", "/contacts", data).status_code == 201


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"organization_id": 1}, "organization_id"),
        ({"contact_emails": [email("no address")]}, "contact_emails"),
        ({"contact_emails": [{"value": "a@b.example"}]}, "contact_emails"),
        ({"contact_phones": [{"value": "1"}]}, "contact_phones"),
        ({"contact_type_id": 1}, "contact_type_id"),
        ({"location_id": 1}, "location_id"),
    ],
    ids=str,
)
def test_what_cannot_be_is_422_with_a_pointer(
    wire: Wire, attributes: dict[str, Any], pointer: str
) -> None:
    reply = wire.create(**attributes)
    [error] = reply.json()["errors"]
    assert (reply.status_code, error["status"]) == (422, 422)
    assert error["source"]["pointer"] == f"data/attributes/{pointer}"
    assert wire.control.contacts() == []


def test_a_change_is_partial_null_clears_and_arrays_are_replaced(wire: Wire) -> None:
    number = wire.control.add_contact(
        wire.contoso, "Ada", "Lind", emails=["a@x.example"], title="T"
    )
    change = resource(title=None, contact_emails=[email("b@x.example")])

    assert wire.call("PATCH", f"/contacts/{number}", change).status_code == 200

    held = wire.control.contact(number)
    assert (held.first_name, held.title) == ("Ada", None)
    assert [each["value"] for each in held.emails] == ["b@x.example"]
    wire.control.set_switches(array_patch="merge")
    wire.call("PATCH", f"/contacts/{number}", change)
    assert len(wire.control.contact(number).emails) == 2


def test_a_synced_contact_cannot_be_changed(wire: Wire) -> None:
    number = wire.control.add_contact(wire.contoso, "Ada", "Lind", psa_id=500)
    reply = wire.call("PATCH", f"/contacts/{number}", resource(title="x"))
    assert reply.status_code == 422
    assert "source" not in reply.json()["errors"][0]
    assert wire.control.contact(number).title is None


@pytest.mark.parametrize(("mode", "title"), [("all_or_nothing", None), ("each", "x")])
def test_bulk_changes_are_all_or_nothing_unless_switched(
    wire: Wire, mode: str, title: str | None
) -> None:
    wire.control.set_switches(bulk_patch=mode)
    free = wire.control.add_contact(wire.contoso, "Ada", "Lind")
    synced = wire.control.add_contact(wire.contoso, "Ben", "Lind", psa_id=500)
    wire.call("PATCH", "/contacts", [resource(id=each, title="x") for each in (free, synced)])
    assert wire.control.contact(free).title == title


def test_deletion_is_there_bulk_only_and_counted(wire: Wire) -> None:
    number = wire.control.add_contact(wire.contoso, "Ada", "Lind")
    assert wire.call("DELETE", f"/contacts/{number}").status_code == 404
    assert wire.call("DELETE", "/contacts", [resource(id=number)]).status_code == 200
    assert wire.control.contacts() == []
    assert wire.control.calls("DELETE /contacts") == 1


def test_contact_types_are_listed_made_and_renamed(wire: Wire) -> None:
    data = {"type": "contact-types", "attributes": {"name": "Former Employee"}}
    made = wire.call("POST", "/contact_types", data).json()["data"]
    found = wire.get("/contact_types?filter[name]=Former Employee")["data"]
    assert [each["id"] for each in found] == [made["id"]]
    synced = wire.control.add_type("Synced", synced=True)
    assert wire.call("PATCH", f"/contact_types/{synced}", data).status_code == 422


# --- faults ------------------------------------------------------------------------------------


def test_a_fault_strikes_before_or_after_the_write(wire: Wire) -> None:
    for kind, held in (("reset", 0), ("reset_after", 1)):
        wire.control.add_fault(kind, "POST /contacts", count=1)  # type: ignore[arg-type]
        with pytest.raises(requests.ConnectionError):
            wire.create()
        assert len(wire.control.contacts()) == held


def test_the_control_routes_are_not_part_of_the_api(wire: Wire) -> None:
    assert wire.call("GET", "/contacts/1").status_code == 404
    assert wire.call("GET", "/nothing").status_code == 404
    assert wire.call("GET", f"/organizations/{wire.contoso}").json()["data"]["attributes"]["name"]
