"""A bare BMS client for the stand-in's own checks.

It knows nothing of the stand-in's code: every reply, and every body that was accepted, is held
against the vendor's OpenAPI file. Names are compared in any casing, only declared members are
taken, and a reply has to show all of them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import requests
from referencing import Registry, Resource

from infra.local.bms.control import BmsControl
from infra.local.bms.control_values import AccountState
from infra.local.bms.process import BmsProcess

FILE = Path(__file__).parents[2] / "infra" / "local" / "bms" / "bms-openapi-subset.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))

TENANT, USER, PASSWORD = "Northwind MSP", "directory.sync", "correct horse battery staple"
WORK_EMAIL, OTHER_EMAIL, WORK_PHONE, MOBILE_PHONE = 11, 13, 21, 22

_MOMENT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$"


@dataclass(frozen=True)
class Answer:
    """A reply, with all member names in lower case."""

    status: int
    body: Any
    headers: Any
    raw: bytes

    @property
    def result(self) -> Any:
        assert self.body["success"] is True, self.body
        return self.body["result"]

    @property
    def error(self) -> Any:
        assert self.body["success"] is False, self.body
        return self.body["error"]

    @property
    def reasons(self) -> str:
        return " ".join(self.error["suberrors"])


class Wire:
    """Sends requests to the stand-in, signed in unless told otherwise."""

    def __init__(self, process: BmsProcess) -> None:
        self.url = process.url
        self.control: BmsControl = process.control
        self.session = requests.Session()
        self.session.trust_env = False
        self.sign_in()

    def sign_in(self) -> Any:
        result = self.authenticate().result
        self.session.headers["Authorization"] = f"Bearer {result['accesstoken']}"
        return result

    def authenticate(self, **fields: str) -> Answer:
        form = {"GrantType": "password", "UserName": USER, "Password": PASSWORD, "Tenant": TENANT}
        return self.call("POST", "/v2/security/authenticate", form=form | fields)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        form: dict[str, str] | None = None,
        content_type: str = "application/json",
        check: bool = True,
        **query: Any,
    ) -> Answer:
        """Send a request; query names with a dot are written with a double underscore."""
        reply = self.session.request(
            method,
            self.url + path,
            params={name.replace("__", "."): value for name, value in query.items()},
            data=form if form is not None else None if body is None else json.dumps(body),
            headers=None if form is not None or body is None else {"Content-Type": content_type},
            timeout=20,
        )
        answer = Answer(reply.status_code, _lower(_json(reply)), reply.headers, reply.content)
        operation = operation_of(method, path)
        if check and operation is not None:
            check_reply(operation, answer)
            if body is not None and answer.status == 200 and _succeeded(answer.body):
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                _validator(False).evolve(schema=_translated(schema, False)).validate(_lower(body))
        return answer

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, **query).result

    def rows(self, path: str, **query: Any) -> list[Any]:
        """Return all rows of a list, page by page."""
        rows: list[Any] = []
        for number in range(1, 1000):
            page = self.get(path, PageSize=100, PageNumber=number, **query)
            rows += page
            if len(page) < 100:
                break
        return rows

    def customer(self, name: str = "Contoso") -> AccountState:
        return self.control.add_account(name)

    def new_contact(self, account: AccountState, **changes: Any) -> dict[str, Any]:
        """Return the body of a create that is right, with some members changed."""
        return {
            "FirstName": "Mara",
            "LastName": "Lind",
            "AccountId": account.id,
            "LocationId": account.main_location_id,
            "Emails": [an_email("mara.lind@contoso.example", True)],
            "Phones": [a_phone("+49 30 555010", True)],
            "CustomFieldsData": [],
        } | changes

    def create(self, account: AccountState, **changes: Any) -> Answer:
        return self.call("POST", "/v2/crm/contacts/summary", self.new_contact(account, **changes))

    def patch(self, contact_id: int, **members: Any) -> Answer:
        operations = [
            {"op": "replace", "path": f"/{name}", "value": value} for name, value in members.items()
        ]
        return self.call("PATCH", f"/v2/crm/contacts/{contact_id}", operations)


def an_email(address: str, is_default: bool = False, type_id: int = WORK_EMAIL) -> dict[str, Any]:
    return {"EmailAddress": address, "EmailTypeId": type_id, "IsDefault": is_default}


def a_phone(number: str, is_default: bool = False, type_id: int = WORK_PHONE) -> dict[str, Any]:
    return {"PhoneNumber": number, "PhoneTypeId": type_id, "IsDefault": is_default}


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """Return the operation of the file that a path belongs to."""
    fits = [
        template
        for template in DOCUMENT["paths"]
        if method.lower() in DOCUMENT["paths"][template] and _pattern(template).fullmatch(path)
    ]
    if not fits:
        return None
    best = min(fits, key=lambda template: template.count("{"))
    operation: dict[str, Any] = DOCUMENT["paths"][best][method.lower()]
    return operation


def check_reply(operation: dict[str, Any], answer: Answer) -> None:
    """Hold a reply against the file; what BMS and ASP.NET refuse has shapes of its own."""
    if "problem+json" in answer.headers.get("Content-Type", ""):
        return
    if answer.status in (404, 405) and not answer.raw:
        return
    content = operation["responses"]["200"].get("content")
    if content is None and answer.status == 200:
        assert answer.raw == b""
        return
    if not _succeeded(answer.body):
        assert answer.body["result"] is None
        _check({"$ref": "#/components/schemas/ErrorInfo"}, answer.body["error"])
        return
    schema = content["application/json"]["schema"]
    declared = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    if "Success" not in declared["properties"] and "success" in answer.body:
        # summary/{id} is declared bare and comes enveloped.
        assert set(answer.body) == {"success", "error", "result"}
        _check(schema, answer.body["result"])
    else:
        _check(schema, answer.body)


def _check(schema: dict[str, Any], value: Any) -> None:
    _validator(True).evolve(schema=_translated(schema, True)).validate(value)


@cache
def _validator(all_required: bool) -> Any:
    schemas = DOCUMENT["components"]["schemas"]
    resource = {
        "$id": "urn:bms",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {name: _translated(each, all_required) for name, each in schemas.items()},
    }
    registry: Registry[Any] = Resource.from_contents(resource) @ Registry()
    return jsonschema.Draft202012Validator({}, registry=registry)


def _translated(schema: dict[str, Any], all_required: bool) -> dict[str, Any]:
    """Write an OpenAPI 3.0 schema as JSON Schema with lower-case names."""
    if "$ref" in schema:
        return {"$ref": f"urn:bms#/$defs/{schema['$ref'].rsplit('/', 1)[-1]}"}
    new: dict[str, Any] = {name: schema[name] for name in ("type", "enum") if name in schema}
    if "properties" in schema:
        new["properties"] = {
            name.lower(): _translated(each, all_required)
            for name, each in schema["properties"].items()
        }
        new["additionalProperties"] = False
        if "error" in new["properties"]:
            # A $ref cannot be nullable in OpenAPI 3.0, yet there is no error in a success.
            error = new["properties"]["error"]
            new["properties"]["error"] = {"anyOf": [error, {"type": "null"}]}
        if all_required:
            new["required"] = list(new["properties"])
    if "items" in schema:
        new["items"] = _translated(schema["items"], all_required)
    if schema.get("format") == "int32":
        new |= {"minimum": -(2**31), "maximum": 2**31 - 1}
    if schema.get("format") == "date-time":
        new["pattern"] = _MOMENT
    return {"anyOf": [new, {"type": "null"}]} if schema.get("nullable") else new


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), re.IGNORECASE)


def _succeeded(body: Any) -> bool:
    return not isinstance(body, dict) or body.get("success", True) is True


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        lowered = {name.lower(): _lower(each) for name, each in value.items()}
        assert len(lowered) == len(value), "two names differ in casing only"
        return lowered
    return [_lower(each) for each in value] if isinstance(value, list) else value


def _json(reply: requests.Response) -> Any:
    return reply.json() if reply.content else None
