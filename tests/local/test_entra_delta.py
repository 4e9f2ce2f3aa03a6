"""The traps of delta queries, at the wire."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from infra.local.entra.control import EntraControl, running
from infra.local.entra.loopback import GRAPH, application_token, session

CLIENT_ID = "11111111-0000-4000-8000-000000000001"
SECRET = "correct-secret-value"
USERS = f"{GRAPH}/v1.0/users/delta?$select=displayName,department"
GROUPS = f"{GRAPH}/v1.0/groups/delta?$select=displayName,members"

Item = dict[str, Any]


@pytest.fixture(scope="module")
def process() -> Iterator[EntraControl]:
    with running() as control:
        yield control


@pytest.fixture
def entra(process: EntraControl) -> EntraControl:
    process.reset()
    return process


@pytest.fixture
def tenant(entra: EntraControl) -> str:
    tenant = entra.add_tenant("contoso.test")
    entra.register_app(CLIENT_ID, tenant, SECRET)
    return tenant


@pytest.fixture
def graph(entra: EntraControl, tenant: str) -> requests.Session:
    client = session(entra.base_url)
    token = application_token(client, tenant, CLIENT_ID, SECRET)
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def pages(graph: requests.Session, url: str, **headers: str) -> tuple[list[list[Item]], str]:
    """Follow a round to its end: the items of every page, and the delta link."""
    found: list[list[Item]] = []
    while True:
        page = graph.get(url, headers=headers, timeout=10).json()
        found.append(page["value"])
        assert ("@odata.nextLink" in page) != ("@odata.deltaLink" in page)
        if "@odata.deltaLink" in page:
            return found, page["@odata.deltaLink"]
        url = page["@odata.nextLink"]


def round_of(graph: requests.Session, url: str, **headers: str) -> tuple[list[Item], str]:
    found, link = pages(graph, url, **headers)
    return [item for page in found for item in page], link


def test_a_property_that_never_had_a_value_is_absent_and_a_cleared_one_is_null(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test", displayName="Ada")

    first, link = round_of(graph, USERS)
    entra.update_user(tenant, ada, department="Care")
    second, link = round_of(graph, link)
    entra.update_user(tenant, ada, department=None)
    third, _ = round_of(graph, link)

    assert first == [{"id": ada, "displayName": "Ada"}]
    assert second == [{"id": ada, "displayName": "Ada", "department": "Care"}]
    assert third == [{"id": ada, "displayName": "Ada", "department": None}]


def test_a_change_to_an_unselected_property_is_silent(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test", displayName="Ada")
    _, link = round_of(graph, USERS)

    entra.update_user(tenant, ada, jobTitle="Countess")
    items, new_link = round_of(graph, link)

    assert items == []
    assert new_link.startswith(f"{GRAPH}/v1.0/users/delta?$deltatoken=")


def test_return_minimal_brings_only_what_changed(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test", displayName="Ada", department="Care")
    _, link = round_of(graph, USERS)

    entra.update_user(tenant, ada, department=None, jobTitle="Countess")
    items, _ = round_of(graph, link, Prefer="return=minimal")

    assert items == [{"id": ada, "department": None}]


def test_leaving_comes_as_changed_then_deleted_and_a_restore_as_new(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test", displayName="Ada")
    _, link = round_of(graph, USERS)

    entra.soft_delete(tenant, ada)
    soft, link = round_of(graph, link)
    in_full, _ = round_of(graph, USERS)
    entra.restore(tenant, ada)
    back, link = round_of(graph, link)
    entra.hard_delete(tenant, ada)
    hard, _ = round_of(graph, link)

    assert soft == [{"id": ada, "@removed": {"reason": "changed"}}]
    assert in_full == soft
    assert back == [{"id": ada, "displayName": "Ada"}]
    assert hard == [{"id": ada, "@removed": {"reason": "deleted"}}]


def test_groups_are_silent_at_a_soft_delete_and_lose_the_member_at_a_hard_one(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")
    team = entra.add_group(tenant, "Team", members=[ada])
    _, link = round_of(graph, GROUPS)

    entra.soft_delete(tenant, ada)
    soft, link = round_of(graph, link)
    entra.hard_delete(tenant, ada)
    hard, _ = round_of(graph, link)

    assert soft == []
    assert [item["id"] for item in hard] == [team]
    assert hard[0]["members@delta"] == [
        {"@odata.type": "#microsoft.graph.user", "id": ada, "@removed": {"reason": "deleted"}}
    ]


def test_members_come_whole_first_and_as_changes_later(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada, ben = (entra.add_user(tenant, f"{name}@contoso.test") for name in ("ada", "ben"))
    inner = entra.add_group(tenant, "Inner")
    team = entra.add_group(tenant, "Team", members=[ada, inner])

    first, link = round_of(graph, GROUPS)
    entra.remove_member(tenant, team, ada)
    entra.add_member(tenant, inner, ben)
    second, _ = round_of(graph, link)

    by_id = {item["id"]: item for item in first}
    assert "members@delta" not in by_id[inner]
    assert {member["@odata.type"] for member in by_id[team]["members@delta"]} == {
        "#microsoft.graph.user",
        "#microsoft.graph.group",
    }
    changed = {item["id"]: item["members@delta"] for item in second}
    assert changed[team][0]["@removed"] == {"reason": "deleted"}
    assert changed[inner] == [{"@odata.type": "#microsoft.graph.user", "id": ben}]


def test_members_are_tracked_only_when_selected(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")
    team = entra.add_group(tenant, "Team")
    _, named = round_of(graph, f"{GRAPH}/v1.0/groups/delta?$select=displayName")
    _, everything = round_of(graph, f"{GRAPH}/v1.0/groups/delta")

    entra.add_member(tenant, team, ada)

    assert round_of(graph, named)[0] == []
    assert round_of(graph, everything)[0][0]["members@delta"][0]["id"] == ada


def test_a_large_group_is_split_over_pages(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    entra.switch(delta_members_per_item=40)
    entra.generate(tenant, 100)

    found, _ = pages(graph, GROUPS)

    slices = [item for page in found for item in page]
    members = [member["id"] for item in slices for member in item["members@delta"]]
    assert [len(page) for page in found] == [1, 1, 1]
    assert len({item["id"] for item in slices}) == 1
    assert len(members) == len(set(members)) == 100


def test_pages_may_be_empty_repeated_and_in_any_order(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    made = entra.generate(tenant, 60, ids=True)["users"]
    entra.switch(delta_page_size=20, delta_empty_pages=True, delta_repeat_rate=0.5)

    found, _ = pages(graph, USERS)

    seen = [item["id"] for page in found for item in page]
    assert [] in found
    assert len(seen) > 60
    assert set(seen) == set(made)
    assert list(dict.fromkeys(seen)) != made


def test_a_page_can_be_asked_for_again(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    entra.generate(tenant, 30)
    entra.switch(delta_page_size=20)
    link = graph.get(USERS, timeout=10).json()["@odata.nextLink"]

    first = graph.get(link, timeout=10).json()["value"]
    second = graph.get(link, timeout=10).json()["value"]

    assert len(first) == 10
    assert first == second


def test_delivered_changes_may_come_again_and_deleted_ones_contradict(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test", displayName="Ada")
    _, link = round_of(graph, USERS)
    entra.switch(delta_replay_changes=1, delta_contradictions=True)

    replayed, link = round_of(graph, link)
    entra.soft_delete(tenant, ada)
    both, _ = round_of(graph, link)

    assert [item["id"] for item in replayed] == [ada]
    assert sorted("@removed" in item for item in both) == [False, True]


def test_latest_skips_what_is_there(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    entra.add_user(tenant, "ada@contoso.test")

    items, link = round_of(graph, USERS + "&$deltatoken=latest")
    ben = entra.add_user(tenant, "ben@contoso.test", displayName="Ben")

    assert items == []
    assert round_of(graph, link)[0] == [{"id": ben, "displayName": "Ben"}]


def test_ids_can_be_filtered_up_to_fifty(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada, ben = (entra.add_user(tenant, f"{name}@contoso.test") for name in ("ada", "ben"))

    items, link = round_of(graph, f"{USERS}&$filter=id eq '{ada}'")
    entra.update_user(tenant, ben, department="Care")
    more = " or ".join(f"id eq '{number}'" for number in range(51))

    assert [item["id"] for item in items] == [ada]
    assert round_of(graph, link)[0] == []
    assert graph.get(f"{USERS}&$filter={more}", timeout=10).status_code == 400


@pytest.mark.parametrize("option", ["$top=10", "$expand=manager", "$orderby=displayName"])
def test_options_that_delta_does_not_know_are_refused(graph: requests.Session, option: str) -> None:
    assert graph.get(f"{USERS}&{option}", timeout=10).status_code == 400


@pytest.mark.parametrize("form", ["delta", "delta()", "microsoft.graph.delta()"])
def test_delta_has_several_spellings(graph: requests.Session, form: str) -> None:
    assert graph.get(f"{GRAPH}/v1.0/users/{form}", timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ("410_location", 410, "resyncRequired"),
        ("410_syncStateNotFound", 410, "syncStateNotFound"),
        ("400_syncStateNotFound", 400, "syncStateNotFound"),
        ("410_resyncRequired", 410, "resyncRequired"),
        ("400_unsupportedQuery", 400, "Request_UnsupportedQuery"),
    ],
)
def test_a_delta_link_dies_after_seven_days_or_on_demand(
    entra: EntraControl, tenant: str, graph: requests.Session, answer: str, status: int, code: str
) -> None:
    _, link = round_of(graph, USERS)
    entra.expire_delta_links(tenant, answer)

    reply = graph.get(link, timeout=10, allow_redirects=False)

    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert ("Location" in reply.headers) == (answer == "410_location")
    if answer == "400_unsupportedQuery":
        assert "DeltaLink" in reply.json()["error"]["message"]


def test_a_link_of_six_days_is_good_and_one_of_eight_is_not(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    _, link = round_of(graph, USERS)

    entra.move_clock(days=6)
    client = session(entra.base_url)
    token = application_token(client, tenant, CLIENT_ID, SECRET)
    client.headers["Authorization"] = f"Bearer {token}"
    fresh = client.get(link, timeout=10)
    entra.move_clock(days=2)
    token = application_token(client, tenant, CLIENT_ID, SECRET)
    client.headers["Authorization"] = f"Bearer {token}"

    assert fresh.status_code == 200
    assert client.get(link, timeout=10).status_code == 410


def test_a_whole_directory_loaded_later_is_one_round_of_new_objects(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    _, users = round_of(graph, USERS)
    _, groups = round_of(graph, GROUPS)

    entra.load(
        tenant,
        {
            "users": [{"userPrincipalName": f"u{i}@contoso.test"} for i in range(3)],
            "groups": [{"displayName": "Team", "members": ["u0@contoso.test", "u2@contoso.test"]}],
        },
    )

    assert len(round_of(graph, users)[0]) == 3
    assert len(round_of(graph, groups)[0][0]["members@delta"]) == 2


def test_a_manager_is_tracked_when_selected(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    boss = entra.add_user(tenant, "boss@contoso.test")
    ada = entra.add_user(tenant, "ada@contoso.test")
    _, link = round_of(graph, f"{GRAPH}/v1.0/users/delta?$select=manager")

    entra.update_user(tenant, ada, manager="boss@contoso.test")
    gained, link = round_of(graph, link)
    entra.hard_delete(tenant, boss)
    lost, _ = round_of(graph, link)

    assert gained[0]["manager@delta"] == [{"@odata.type": "#microsoft.graph.user", "id": boss}]
    of_ada = next(item for item in lost if item["id"] == ada)
    assert of_ada["manager@delta"][0]["@removed"] == {"reason": "deleted"}
