"""Users, groups and memberships of the Graph stand-in: against msgraph-sdk and at the wire."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.groups.item.transitive_members.graph_user.graph_user_request_builder import (
    GraphUserRequestBuilder,
)
from msgraph.generated.users.item.check_member_groups.check_member_groups_post_request_body import (
    CheckMemberGroupsPostRequestBody,
)
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient

from infra.local.entra.control import EntraControl, running
from infra.local.entra.loopback import GRAPH, application_token, session

CLIENT_ID = "11111111-0000-4000-8000-000000000001"
SECRET = "correct-secret-value"
# The SDK warns about its own generated classes.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
EVENTUAL = {"ConsistencyLevel": "eventual"}


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
    tenant = entra.add_tenant("contoso.test", display_name="Contoso")
    entra.register_app(CLIENT_ID, tenant, SECRET)
    return tenant


@pytest.fixture
def graph(entra: EntraControl, tenant: str) -> requests.Session:
    client = session(entra.base_url)
    token = application_token(client, tenant, CLIENT_ID, SECRET)
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def get(graph: requests.Session, path: str, **headers: str) -> requests.Response:
    return graph.get(f"{GRAPH}/v1.0{path}", headers=headers, timeout=10)


def post(graph: requests.Session, path: str, body: Any) -> requests.Response:
    return graph.post(f"{GRAPH}/v1.0{path}", json=body, timeout=10)


def ids(reply: requests.Response) -> set[str]:
    return {item["id"] for item in reply.json()["value"]}


def code(reply: requests.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


class _ToLoopback(httpx.AsyncBaseTransport):
    """Leads the SDK's requests to the stand-in, with the Host they were meant for."""

    def __init__(self, base_url: str) -> None:
        self._base = httpx.URL(base_url)
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Host"] = request.url.host
        request.url = request.url.copy_with(
            scheme=self._base.scheme, host=self._base.host, port=self._base.port
        )
        return await self._inner.handle_async_request(request)


class _Token(AccessTokenProvider):
    def __init__(self, text: str) -> None:
        self._text = text

    async def get_authorization_token(
        self, uri: str, additional_authentication_context: dict[str, Any] | None = None
    ) -> str:
        return self._text

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator(["graph.microsoft.com"])


def sdk(entra: EntraControl, tenant: str) -> GraphServiceClient:
    token = application_token(session(entra.base_url), tenant, CLIENT_ID, SECRET)
    client = httpx.AsyncClient(transport=_ToLoopback(entra.base_url), base_url=f"{GRAPH}/v1.0")
    provider = BaseBearerTokenAuthenticationProvider(_Token(token))
    return GraphServiceClient(request_adapter=GraphRequestAdapter(provider, client))


def test_msgraph_sdk_reads_users_members_and_checks(entra: EntraControl, tenant: str) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test", displayName="Ada", businessPhones=["+31 1"])
    inner = entra.add_group(tenant, "Inner", members=[ada])
    outer = entra.add_group(tenant, "Outer", members=[inner])

    async def read() -> tuple[Any, Any, Any, Any]:
        client = sdk(entra, tenant)
        users = await client.users.get()
        direct = await client.groups.by_group_id(outer).members.get()
        options = GraphUserRequestBuilder.GraphUserRequestBuilderGetQueryParameters(
            count=True, select=["id"]
        )
        configuration = RequestConfiguration(query_parameters=options)
        configuration.headers.add("ConsistencyLevel", "eventual")
        nested = await client.groups.by_group_id(outer).transitive_members.graph_user.get(
            request_configuration=configuration
        )
        checked = await client.users.by_user_id(ada).check_member_groups.post(
            CheckMemberGroupsPostRequestBody(group_ids=[outer])
        )
        return users, direct, nested, checked

    users, direct, nested, checked = asyncio.run(read())

    assert [(u.display_name, u.business_phones) for u in users.value] == [("Ada", ["+31 1"])]
    assert [type(m).__name__ for m in direct.value] == ["Group"]
    assert [u.id for u in nested.value] == [ada]
    assert checked.value == [outer]


def test_msgraph_sdk_follows_a_delta_round_to_its_end(entra: EntraControl, tenant: str) -> None:
    entra.generate(tenant, 30)
    entra.switch(delta_page_size=7)

    async def read() -> tuple[set[str], str]:
        client = sdk(entra, tenant)
        seen: set[str] = set()
        page = await client.users.delta.get()
        while True:
            assert page is not None
            seen |= {str(user.id) for user in page.value or []}
            if page.odata_delta_link:
                return seen, page.odata_delta_link
            page = await client.users.delta.with_url(str(page.odata_next_link)).get()

    seen, link = asyncio.run(read())

    assert len(seen) == 30
    assert link.startswith(f"{GRAPH}/v1.0/users/delta?$deltatoken=")


def test_a_plain_get_shows_the_default_set_and_nulls(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test", department="Care")

    plain = get(graph, f"/users/{ada}").json()
    chosen = get(graph, f"/users/{ada}?$select=department,mail,otherMails").json()

    assert "department" not in plain
    assert plain["businessPhones"] == []
    assert (chosen["department"], chosen["mail"], chosen["otherMails"]) == ("Care", None, [])


def test_a_guest_is_found_by_his_encoded_name(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    guest = entra.add_user(tenant, "zoe_x.test#EXT#@contoso.test", userType="Guest")

    reply = get(graph, "/users/zoe_x.test%23EXT%23@contoso.test?$select=userType")

    assert reply.json()["id"] == guest
    assert reply.json()["userType"] == "Guest"


def test_mail_moves_the_primary_proxy_address(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test", mail="ada@contoso.test")
    entra.update_user(tenant, ada, mail="countess@contoso.test")

    value = get(graph, f"/users/{ada}?$select=proxyAddresses").json()

    assert value["proxyAddresses"] == ["SMTP:countess@contoso.test", "smtp:ada@contoso.test"]


def test_lists_page_and_keep_their_query(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    entra.generate(tenant, 250)
    seen: set[str] = set()
    sizes = []

    url = f"{GRAPH}/v1.0/users?$select=id,displayName"
    while url:
        page = graph.get(url, timeout=10).json()
        sizes.append(len(page["value"]))
        seen |= {item["id"] for item in page["value"]}
        assert set(page["value"][0]) == {"id", "displayName"}
        url = page.get("@odata.nextLink", "")

    assert sizes == [100, 100, 50]
    assert len(seen) == 250


def test_a_page_of_more_than_999_is_refused(graph: requests.Session) -> None:
    assert get(graph, "/users?$top=1000").status_code == 400
    assert get(graph, "/users?$skip=10").status_code == 400


def test_a_late_page_token_has_expired(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    entra.generate(tenant, 101)
    link = get(graph, "/users").json()["@odata.nextLink"]
    entra.move_clock(minutes=11)

    assert code(graph.get(link, timeout=10)) == (400, "Directory_ExpiredPageToken")


def test_members_are_typed_and_nested_members_are_flat(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada, ben = (entra.add_user(tenant, f"{name}@contoso.test") for name in ("ada", "ben"))
    device = entra.add_other(tenant, "#microsoft.graph.device", displayName="Kiosk")
    inner = entra.add_group(tenant, "Inner", members=[ada, ben])
    outer = entra.add_group(tenant, "Outer", members=[inner, ada, device])
    entra.add_members(tenant, inner, [outer])

    direct = get(graph, f"/groups/{outer}/members").json()["value"]
    nested = get(
        graph,
        f"/groups/{outer}/transitiveMembers/microsoft.graph.user?$count=true&$select=id",
        **EVENTUAL,
    ).json()

    assert {item["@odata.type"].rpartition(".")[2] for item in direct} == {
        "group",
        "user",
        "device",
    }
    assert {item["id"] for item in nested["value"]} == {ada, ben}
    assert nested["@odata.count"] == 2


@pytest.mark.parametrize(
    "path",
    [
        "/groups/{group}/transitiveMembers/microsoft.graph.user?$select=id",
        "/users?$count=true",
        '/users?$search="displayName:a"',
        "/users?$filter=userType ne 'Guest'&$count=true",
        "/users/$count",
    ],
)
def test_an_advanced_query_needs_the_consistency_header(
    entra: EntraControl, tenant: str, graph: requests.Session, path: str
) -> None:
    group = entra.add_group(tenant, "Any")

    reply = get(graph, path.replace("{group}", group))

    assert code(reply) == (400, "Request_UnsupportedQuery")


def test_users_are_found_by_filter_and_search(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(
        tenant, "ada@contoso.test", displayName="Ada O'Neil", mail="a.oneil@contoso.test"
    )
    entra.add_user(tenant, "ben@contoso.test", displayName="Ben")

    for query in (
        "$filter=startswith(displayName,'ada o''n')",
        "$filter=mail eq 'A.ONEIL@contoso.test' or userPrincipalName eq 'nobody@contoso.test'",
        "$filter=userPrincipalName eq 'ada@contoso.test'",
        "$filter=id in ('" + ada + "')",
        "$filter=proxyAddresses/any(x:x eq 'smtp:a.oneil@contoso.test')"
        " or (accountEnabled eq true and startswith(mail,'a.'))",
    ):
        assert ids(get(graph, f"/users?{query}")) == {ada}, query
    assert ids(get(graph, '/users?$search="displayName:oneil"', **EVENTUAL)) == set()
    assert ids(get(graph, '/users?$search="displayName:O\'Neil"', **EVENTUAL)) == {ada}


def test_hidden_membership_reads_as_empty(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")
    group = entra.add_group(
        tenant, "Quiet", kind="m365", visibility="HiddenMembership", members=[ada]
    )

    assert ids(get(graph, f"/groups/{group}/members")) == set()
    check = post(graph, f"/users/{ada}/checkMemberGroups", {"groupIds": [group]})
    assert check.json()["value"] == []
    delta = get(graph, "/groups/delta?$select=displayName,members").json()["value"]
    assert "members@delta" not in delta[0]


def test_checks_see_nesting_and_end_with_it(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")
    inner = entra.add_group(tenant, "Inner", members=[ada])
    outer = entra.add_group(tenant, "Outer", kind="m365", members=[inner])
    path = f"/users/{ada}/checkMemberGroups"
    stranger = "00000000-0000-4000-8000-0000000000ff"

    before = post(graph, path, {"groupIds": [outer, stranger]}).json()["value"]
    only_security = post(
        graph, f"/users/{ada}/getMemberGroups", {"securityEnabledOnly": True}
    ).json()["value"]
    entra.remove_member(tenant, outer, inner)
    after = post(graph, path, {"groupIds": [outer, stranger]}).json()["value"]

    assert (before, only_security, after) == ([outer], [inner], [])
    assert post(graph, path, {"groupIds": [outer] * 21}).status_code == 400


def test_a_soft_deleted_user_is_gone_from_reads_but_keeps_memberships(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")
    group = entra.add_group(tenant, "Team", members=[ada])

    entra.soft_delete(tenant, ada)
    reply = get(graph, f"/users/{ada}")
    bin_item = get(graph, f"/directory/deletedItems/{ada}").json()
    listed = get(graph, "/directory/deletedItems/microsoft.graph.user")
    members = get(graph, f"/groups/{group}/members")
    entra.restore(tenant, ada)

    assert code(reply) == (404, "Request_ResourceNotFound")
    assert bin_item["deletedDateTime"]
    assert ids(listed) == {ada}
    assert ids(members) == set()
    assert ids(get(graph, f"/groups/{group}/members")) == {ada}


def test_thirty_days_in_the_bin_end_for_good(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")
    group = entra.add_group(tenant, "Team", members=[ada])
    entra.soft_delete(tenant, ada)
    entra.move_clock(days=31)

    deadline = time.monotonic() + 5
    while entra.get(tenant, ada)["status"] != "gone":
        assert time.monotonic() < deadline

    assert entra.get(tenant, group)["members"] == []


def test_each_kind_of_read_lags_by_its_own_switch(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test", displayName="Old name")
    group = entra.add_group(tenant, "Team")
    link = get(graph, "/users/delta?$deltatoken=latest").json()["@odata.deltaLink"]
    entra.move_clock(minutes=10)
    entra.switch(lag_reads_seconds=30, lag_index_seconds=30, lag_delta_seconds=30)

    entra.update_user(tenant, ada, displayName="New name")
    entra.add_member(tenant, group, ada)
    new = entra.add_user(tenant, "ben@contoso.test")
    nested = f"/groups/{group}/transitiveMembers/microsoft.graph.user?$count=true&$select=id"
    single = get(graph, f"/users/{ada}").json()["displayName"]
    too_new = get(graph, f"/users/{new}")
    index = get(graph, nested, **EVENTUAL)
    listed = get(graph, f"/groups/{group}/members")
    changes = graph.get(link, timeout=10).json()
    entra.move_clock(31)

    assert single == "Old name"
    assert too_new.status_code == 404
    assert ids(index) == set()
    assert ids(listed) == {ada}
    assert changes["value"] == []
    assert get(graph, f"/users/{ada}").json()["displayName"] == "New name"
    assert ids(get(graph, nested, **EVENTUAL)) == {ada}
    assert ids(graph.get(changes["@odata.deltaLink"], timeout=10)) == {ada, new}


def test_tokens_and_permissions_decide(entra: EntraControl, tenant: str) -> None:
    client = session(entra.base_url)
    nobody = get(client, "/users")
    client.headers["Authorization"] = "Bearer made-up"
    stranger = get(client, "/users")
    entra.set_consent(CLIENT_ID, tenant, roles=["User.Read.All"])
    token = application_token(client, tenant, CLIENT_ID, SECRET)
    client.headers["Authorization"] = f"Bearer {token}"

    assert code(nobody) == (401, "InvalidAuthenticationToken")
    assert code(stranger) == (401, "InvalidAuthenticationToken")
    assert get(client, "/users").status_code == 200
    assert code(get(client, "/groups")) == (403, "Authorization_RequestDenied")
    assert get(client, "/me").status_code == 400
    entra.move_clock(minutes=95)
    assert code(get(client, "/users")) == (401, "InvalidAuthenticationToken")


def test_replies_carry_ids_and_cost(graph: requests.Session) -> None:
    reply = get(graph, "/users?$select=id", **{"client-request-id": "mine"})

    assert reply.headers["client-request-id"] == "mine"
    assert reply.headers["request-id"]
    assert reply.headers["x-ms-resource-unit"] == "1"


@pytest.mark.parametrize("form", ["int", "float", "date"])
def test_too_many_units_are_throttled(
    entra: EntraControl, graph: requests.Session, form: str
) -> None:
    entra.switch(throttle_quota=6, retry_after_form=form)

    replies = [get(graph, "/users") for _ in range(4)]

    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    assert replies[3].headers["x-ms-throttle-scope"].startswith("Tenant_Application/ReadWrite/")
    text = replies[3].headers["Retry-After"]
    assert {"int": text.isdigit(), "float": "." in text, "date": text.endswith("GMT")}[form]


def test_faults_hit_what_they_name_as_often_as_told(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")
    entra.add_fault(status=503, route="/users/{id}", count=2, retry_after=1.5, after=1)

    statuses = [get(graph, f"/users/{ada}").status_code for _ in range(4)]
    entra.add_fault("truncate", route="/users")
    with pytest.raises(requests.exceptions.RequestException):
        get(graph, "/users")
    entra.add_fault("reset", route="/groups")
    with pytest.raises(requests.exceptions.ConnectionError):
        get(graph, "/groups")

    assert statuses == [200, 503, 503, 200]
    assert get(graph, "/organization").status_code == 200


def test_a_batch_is_answered_in_any_order_with_faults_inside(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    users = [entra.add_user(tenant, f"user{i}@contoso.test") for i in range(8)]
    entra.add_fault(
        status=429, route="/users/{id}/checkMemberGroups", retry_after=9, count=1, in_batch=True
    )
    parts: list[dict[str, Any]] = [
        {"id": str(i), "method": "GET", "url": f"/users/{user}?$select=id"}
        for i, user in enumerate(users)
    ]
    parts.append(
        {
            "id": "check",
            "method": "POST",
            "url": f"/users/{users[0]}/checkMemberGroups",
            "headers": {"Content-Type": "application/json"},
            "body": {"groupIds": ["x"]},
        }
    )
    parts.append(
        {"id": "after", "method": "GET", "url": f"/users/{users[0]}", "dependsOn": ["check"]}
    )

    reply = post(graph, "/$batch", {"requests": parts})

    answers = {part["id"]: part for part in reply.json()["responses"]}
    assert reply.status_code == 200
    assert [part["id"] for part in reply.json()["responses"]] != [part["id"] for part in parts]
    assert answers["3"]["body"]["id"] == users[3]
    assert answers["check"]["status"] == 429
    assert answers["check"]["headers"]["Retry-After"] == "9"
    assert answers["after"]["status"] == 424
    assert entra.count("graph-part GET /users/{id}", tenant) == 8


def test_a_batch_of_twins_or_of_21_is_refused_whole(graph: requests.Session) -> None:
    part = {"method": "GET", "url": "/organization"}

    twins = post(graph, "/$batch", {"requests": [{"id": "a", **part}, {"id": "A", **part}]})
    many = post(graph, "/$batch", {"requests": [{"id": str(i), **part} for i in range(21)]})

    assert (twins.status_code, many.status_code) == (400, 400)


def test_get_by_ids_leaves_strangers_out(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")
    group = entra.add_group(tenant, "Team")

    reply = post(
        graph, "/directoryObjects/getByIds", {"ids": [ada, group, "nope"], "types": ["user"]}
    )

    assert ids(reply) == {ada}


def test_organization_names_the_tenant_of_the_token(tenant: str, graph: requests.Session) -> None:
    value = get(graph, "/organization?$select=id,displayName,verifiedDomains").json()["value"]

    assert [one["id"] for one in value] == [tenant]
    assert value[0]["verifiedDomains"][0]["name"] == "contoso.test"


def test_managers_are_expanded_and_missing_ones_are_404(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    boss = entra.add_user(tenant, "boss@contoso.test", displayName="Boss")
    ada = entra.add_user(tenant, "ada@contoso.test", manager=boss)

    value = get(graph, f"/users/{ada}?$expand=manager($select=id,displayName)").json()

    assert value["manager"]["displayName"] == "Boss"
    assert get(graph, f"/users/{ada}/manager").json()["id"] == boss
    assert get(graph, f"/users/{boss}/manager").status_code == 404


def test_writing_to_the_directory_is_denied(
    entra: EntraControl, tenant: str, graph: requests.Session
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")

    reply = graph.patch(f"{GRAPH}/v1.0/users/{ada}", json={"displayName": "X"}, timeout=10)

    assert code(reply) == (403, "Authorization_RequestDenied")
