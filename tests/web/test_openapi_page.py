"""The readable page of the API holds all of its description, as data for a template."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.web.api.openapi_page import Operation, api_page
from tests.web.test_openapi import DESCRIPTION, OPERATIONS, SCHEMAS

GROUPS = api_page(DESCRIPTION)
SHOWN: dict[str, Operation] = {
    f"{each.method} {each.path}": each for group in GROUPS for each in group.operations
}


def test_every_operation_is_on_the_page_once() -> None:
    assert sorted(SHOWN) == sorted(OPERATIONS)
    assert sum(len(group.operations) for group in GROUPS) == len(OPERATIONS)


def test_resources_and_operations_have_ids_of_their_own() -> None:
    ids = [group.id for group in GROUPS] + [each.id for each in SHOWN.values()]

    assert len(set(ids)) == len(ids)
    assert not any(" " in each for each in ids)


def test_members_tell_place_type_limits_and_whether_they_are_needed() -> None:
    body = {each.name: each for each in SHOWN["POST /api/connections"].body}

    assert body["tenantDomain"].required
    assert body["holdLimit.count"].kind == "whole number"
    assert body["holdLimit.count"].limits == "from 0, to 1,000,000"
    assert body["mode"].kind == '"application" | "delegated"'
    assert body["mode"].limits == 'default "delegated"'
    assert body["secretExpiresOn"].kind == "date or null"
    assert "Write-only" in body["applicationKey"].words


def test_parameters_replies_headers_and_refusals_are_told() -> None:
    listed = SHOWN["GET /api/activity"]
    made = SHOWN["POST /api/connections"]

    assert "since" in [each.name for each in listed.parameters]
    assert "items[].changes[].old" in [each.name for each in listed.answers[0].members]
    assert [each.name for each in made.answers[0].headers] == ["Location"]
    assert {"401", "409", "422"} <= {each.status for each in made.refusals}


@pytest.mark.parametrize("name", [each for each in SHOWN if SHOWN[each].body])
def test_the_body_of_an_example_fits_the_description(name: str) -> None:
    words = shlex.split(SHOWN[name].curl.replace("\\\n", " "))
    body: Any = json.loads(words[words.index("-d") + 1])
    schema = OPERATIONS[name]["requestBody"]["content"]["application/json"]["schema"]

    whole = {**schema, "components": {"schemas": SCHEMAS}}
    assert [error.message for error in Draft202012Validator(whole).iter_errors(body)] == []
