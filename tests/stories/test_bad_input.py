"""Bad input, from outside: a clear sentence at the right place, nothing half-written, life goes on.

Each claim is made over HTTP against the running app and looks afterwards at what was left behind.
"""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from infra.local.admin import Refused, wait_for
from tests.stories.oracle import Rule
from tests.stories.story import APPLICATION, BMS_SETTINGS, Story, say

pytestmark = pytest.mark.world

CALLBACK = "/OAuth/IntegrationCallback.aspx"
DOMAIN, OTHER = "contoso.example", "fabrikam.example"


class Office:
    """A connected customer with three people, and one that is not connected yet."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.at = story.customers()
        story.admin.call("PUT", "/api/settings/bms", BMS_SETTINGS)
        self.draft = self._draft()
        story.connect(DOMAIN)
        entra, tenant = story.entra, story.tenant
        # Who is signalled while he is loaded is looked at again for more than a minute, by that
        # notification (R22): nobody could tell it from a forged one that was believed.
        entra.switch(notify_loss_rate=1.0)
        self.people = [
            entra.add_user(
                tenant, f"p{n}@{DOMAIN}", mail=f"p{n}@{DOMAIN}", displayName=f"Per Son{n}"
            )
            for n in range(9)
        ]
        pairs = zip(self.people[3::2], self.people[4::2], strict=True)
        self.newcomers = dict(
            zip(("clientState", "subscriptionId", "connection"), pairs, strict=True)
        )
        self.group = entra.add_group(tenant, "Staff", members=self.people)
        self.rule = story.admin.call(
            "POST", "/api/mapping-rules", story.rule_body(Rule(self.group, 1, self.at.first))
        )
        assert story.admin.sync(story.connection, timeout=60)["done"] == 9
        entra.switch(notify_loss_rate=0.0)

    def _draft(self) -> str:
        self.other = self.story.entra.add_tenant(OTHER)
        boss = self.story.entra.add_user(self.other, f"boss@{OTHER}", displayName="Other Boss")
        self.story.entra.set_administrator(self.other, boss)
        self.other_boss = boss
        body = {"tenantDomain": OTHER, "applicationId": APPLICATION, "applicationKey": "s3cret-1"}
        return str(
            self.story.admin.call("POST", "/api/connections", {**body, "mode": "delegated"})["id"]
        )

    def connection(self, connection: str) -> dict[str, Any]:
        """A connection as it is."""
        found: dict[str, Any] = self.story.admin.call("GET", f"/api/connections/{connection}")
        return found

    def start(self, connection: str) -> tuple[requests.Session, str]:
        """Sign in as far as the way back: the browser, and the callback's address."""
        story = self.story
        begun = requests.post(
            f"{story.host.base_url}/api/connections/{connection}/connect",
            headers={"Authorization": f"Bearer {story.world.admin_token}"},
            timeout=30,
        )
        browser = requests.Session()
        browser.trust_env = False
        browser.proxies = {"https": story.world.proxy_url}
        browser.verify = str(story.world.certificates.bundle)
        browser.cookies.update(begun.cookies)
        address = str(begun.json()["authorizeUrl"])
        while not address.startswith(story.host.base_url):
            reply = browser.get(address, allow_redirects=False, timeout=30)
            assert reply.is_redirect, reply.text
            address = urljoin(address, reply.headers["Location"])
        return browser, address

    def refused(self, method: str, path: str, body: Any) -> tuple[int, str]:
        """Status and sentence of a refusal."""
        with pytest.raises(Refused) as caught:
            self.story.admin.call(method, path, body)
        return caught.value.status, str(caught.value.problem["detail"])

    def notice(self, user: str) -> dict[str, Any]:
        """What Graph sends when a user has changed."""
        entra, tenant = self.story.entra, self.story.tenant
        one = next(each for each in entra.subscriptions(tenant) if each["resource"] == "users")
        return {
            "subscriptionId": one["id"],
            "clientState": one["clientState"],
            "tenantId": tenant,
            "changeType": "updated",
            "resource": f"Users/{user}",
            "resourceData": {"@odata.type": "#Microsoft.Graph.User", "id": user},
            "subscriptionExpirationDateTime": one["expirationDateTime"],
        }

    def notify(self, body: bytes, connection: str = "") -> requests.Response:
        """Post to the webhook as anybody can."""
        where = f"/webhooks/graph/{connection or self.story.connection}"
        return requests.post(
            f"{self.story.host.base_url}{where}",
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=30,
        )


@pytest.fixture(scope="module")
def office(story: Story) -> Office:
    """The office after its first full sync."""
    return Office(story)


# Connecting, R28


def test_a_callback_works_once(office: Office) -> None:
    browser, address = office.start(office.story.connection)
    cookies = dict(browser.cookies)

    first = browser.get(address, timeout=30)
    browser.cookies.update(cookies)
    second = browser.get(address, timeout=30)

    assert (first.status_code, second.status_code) == (200, 400)
    assert "again" in second.text or "used" in second.text
    assert office.connection(office.story.connection)["state"] == "connected"


@pytest.mark.parametrize("way", ["no cookie", "strange state", "no state"])
def test_a_callback_that_was_not_begun_in_this_browser_connects_nothing(
    office: Office, way: str
) -> None:
    story = office.story
    story.entra.sign_in_as(office.other_boss, office.other)
    story.entra.register_app(
        APPLICATION,
        story.tenant,
        [{"value": "s3cret-value-~abc"}, {"value": "s3cret-1"}],
        [story.host.base_url + CALLBACK],
        multi_tenant=True,
    )
    browser, address = office.start(office.draft)
    if way == "no cookie":
        browser.cookies.clear()
    elif way == "strange state":
        address = f"{story.host.base_url}{CALLBACK}?code=abc&state={secrets.token_urlsafe(24)}"
    else:
        address = f"{story.host.base_url}{CALLBACK}?code=abc"

    reply = browser.get(address, timeout=30)

    assert reply.status_code == 400
    assert "text/html" in reply.headers["Content-Type"]
    assert office.connection(office.draft)["state"] == "draft"
    assert story.entra.subscriptions(office.other) == []


def test_a_declined_consent_is_told_on_the_page_and_in_the_connection(office: Office) -> None:
    entra = office.story.entra
    entra.sign_in_as(office.other_boss, office.other)
    entra.sign_in_outcome(office.other, "access_denied", "The user declined.", "cancel", count=1)
    browser, address = office.start(office.draft)

    reply = browser.get(address, timeout=30)

    assert "error=access_denied" in address
    assert reply.status_code == 400
    connection = office.connection(office.draft)
    assert connection["state"] in ("draft", "attention")
    assert connection["reason"]
    assert connection["nextStep"]


def test_somebody_of_another_tenant_cannot_connect_it(office: Office) -> None:
    story = office.story
    story.entra.switch(foreign_account="token")
    boss = story.entra.get(story.tenant, f"admin@{DOMAIN}")["id"]
    story.entra.sign_in_as(boss, office.other, home=story.tenant)
    try:
        browser, address = office.start(office.draft)
        reply = browser.get(address, timeout=30)
    finally:
        story.entra.switch(foreign_account="error_page")
        story.entra.sign_in_as(office.other_boss, office.other)

    assert reply.status_code == 400
    assert office.connection(office.draft)["state"] in ("draft", "attention")
    assert story.entra.subscriptions(office.other) == []


# Rules and BMS settings: R1, R3


def test_a_rule_that_cannot_work_is_refused_with_a_sentence_and_nothing_is_saved(
    office: Office,
) -> None:
    story, at = office.story, office.at
    good = story.rule_body(Rule(office.group, 5, at.first))
    hidden = story.entra.add_group(
        story.tenant, "Secret", kind="m365", visibility="HiddenMembership"
    )
    nowhere = "99999999-9999-4999-8999-999999999999"
    bad: dict[str, dict[str, Any]] = {
        "accountId": {**good, "accountId": None},
        "main location": {**good, "accountId": at.no_main},
        "account": {**good, "accountId": 987654},
        "locationId": {**good, "locationId": at.branch},
        "GUID": {**good, "groupId": "Staff"},
        "group": {**good, "groupId": nowhere},
        "hidden": {**good, "groupId": hidden},
        "employee.departmentId": {
            **good,
            "recordType": "employee",
            "accountId": None,
            "employee": {"departmentId": 987654},
        },
    }
    before = story.admin.items("/api/mapping-rules", connectionId=story.connection)
    for word, body in bad.items():
        status, sentence = office.refused("POST", "/api/mapping-rules", body)
        assert status == 422, (word, sentence)
        assert word.lower() in sentence.lower()
        path = f"/api/connections/{story.connection}/mapping-rules"
        status, sentence = office.refused("PUT", path, {"items": [{**good, "order": 9}, body]})
        assert status == 422, (word, sentence)
    assert story.admin.items("/api/mapping-rules", connectionId=story.connection) == before


def test_a_wrong_bms_password_is_refused_and_the_old_one_still_works(office: Office) -> None:
    story = office.story
    before = story.admin.call("GET", "/api/settings/bms")

    status, sentence = office.refused(
        "PUT", "/api/settings/bms", {**BMS_SETTINGS, "password": "wrong-pass-123", "hourlyLimit": 9}
    )

    assert status == 422
    assert "BMS" in sentence
    assert "wrong-pass-123" not in sentence
    assert story.admin.call("GET", "/api/settings/bms") == before
    story.entra.update_user(story.tenant, office.people[0], jobTitle="After the refusal")
    wait_for(lambda: _titled(office, "After the refusal"), 20, what="the change")


# The webhook: R31


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"value": 7}', 400),
        (b'{"value": [7, null, {}]}', 202),
        (b"\xff\xfe", 400),
        (b'{"value": [' + b" " * (9 * 1024 * 1024) + b"]}", 413),
    ],
    ids=["cut", "list", "number", "strange items", "no text", "9 MiB"],
)
def test_a_malformed_or_oversized_notification_is_answered_at_once(
    office: Office, body: bytes, status: int
) -> None:
    reply = office.notify(body)

    assert reply.status_code == status
    assert reply.elapsed.total_seconds() < 3


@pytest.mark.parametrize("what", ["clientState", "subscriptionId", "connection"])
def test_a_notification_without_proof_has_no_effect(office: Office, what: str) -> None:
    """Two people change unnoticed: one is named by a forged notification, one by a true one."""
    story = office.story
    story.entra.switch(notify_loss_rate=1.0)
    try:
        forged_for, true_for = office.newcomers[what]
        for user in (forged_for, true_for):
            story.entra.update_user(story.tenant, user, jobTitle=f"{what} of {user}")
        forged = office.notice(forged_for)
        if what != "connection":
            forged[what] = "00000000-0000-4000-8000-000000000000"
        wrong = office.notify(
            json.dumps({"value": [forged] * 3}).encode(), "nobody" if what == "connection" else ""
        )
        right = office.notify(json.dumps({"value": [office.notice(true_for)]}).encode())

        assert wrong.status_code in (202, 404)
        assert right.status_code == 202
        wait_for(lambda: _titled(office, f"{what} of {true_for}"), 20, what="the true one")
        wait_for(lambda: _origins(office, true_for, f"{what} of {true_for}"), 10, what="its line")
        # The timer's sweep may come by in these seconds and find him, as it should.
        assert "notification" not in _origins(office, forged_for, f"{what} of {forged_for}")
    finally:
        story.entra.switch(notify_loss_rate=0.0)


# People: R4, R11, R24


def test_people_without_names_or_address_and_refusals_by_bms_stop_nobody_else(
    office: Office,
) -> None:
    story = office.story
    entra, tenant = story.entra, story.tenant
    story.bms.set_switches(max_lengths={"FirstName": 30})
    guests = entra.add_group(tenant, "Everybody")
    story.admin.call(
        "POST",
        "/api/mapping-rules",
        story.rule_body(Rule(guests, 2, office.at.second, guests=True)),
    )
    odd = {
        "nameless": entra.add_user(tenant, f"nameless@{DOMAIN}"),
        "blank": entra.add_user(tenant, f"blank@{DOMAIN}", displayName="   ", givenName=" "),
        "no address": entra.add_user(
            tenant, f"x_home.example#EXT#@{DOMAIN}", userType="Guest", displayName="Gue St"
        ),
        "odd mail": entra.add_user(
            tenant, f"oddmail@{DOMAIN}", mail="not an address", displayName="Odd Mail"
        ),
        "too long for BMS": entra.add_user(
            tenant, f"long@{DOMAIN}", givenName="L" * 60, surname="Long", displayName="L"
        ),
        "quiet": entra.add_user(tenant, f"quiet@{DOMAIN}", displayName="Quiet Fellow"),
    }
    entra.add_members(tenant, guests, odd.values())

    run = story.admin.sync(story.connection, timeout=60)

    assert run["state"] == "done"
    contacts = {c.default_email: c for c in story.bms.contacts(account_id=office.at.second)}
    assert contacts[f"quiet@{DOMAIN}"].last_name == "Fellow"
    assert f"long@{DOMAIN}" not in contacts
    told = {
        name: story.admin.items("/api/activity", connectionId=story.connection, userId=user)
        for name, user in odd.items()
    }
    assert all(told.values()), told
    say(
        "\n".join(
            f"{name}: {lines[0]['kind']}, {lines[0]['reason']}" for name, lines in told.items()
        )
    )
    assert "address" in told["no address"][0]["reason"]
    assert told["too long for BMS"][0]["kind"] == "failure"
    assert "FirstName" in told["too long for BMS"][0]["reason"]
    assert f"oddmail@{DOMAIN}" in contacts, told["odd mail"]
    assert contacts[f"oddmail@{DOMAIN}"].default_email == f"oddmail@{DOMAIN}"
    for name in ("nameless", "blank"):
        made = contacts.get(f"{name}@{DOMAIN}")
        assert made is None or (made.first_name and made.last_name)


def _origins(office: Office, user: str, title: str) -> list[str]:
    """What led to this title of a user, as the activity tells."""
    told = office.story.admin.items("/api/activity", userId=user)
    return [one["origin"] for one in told if title in [each["new"] for each in one["changes"]]]


def _titled(office: Office, title: str) -> bool:
    return any(each.job_title == title for each in office.story.bms.contacts())
