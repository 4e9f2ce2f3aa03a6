"""From an empty installation to the first synced person, through the console's pages alone.

As a technician does it who has `make run EMPTY=1` before him: what he types is what his BMS
administrator told him and what the Entra admin center showed him. Prints clicks and seconds.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, expect

from infra.local.demo_cast import OPTICS, Tenant, fill_bms, make_contoso
from infra.local.demo_check import Expected, Names
from infra.local.demo_setup import BMS_SETTINGS, make_accounts, register
from infra.local.world import World
from tests.browser.conftest import photograph
from tests.browser.console import WIDE, Console

pytestmark = pytest.mark.world


@dataclass
class Newcomer:
    """Somebody who sees the console for the first time, and counts what he presses."""

    console: Console
    world: World
    tenant: Tenant
    application: str
    secret: str
    clicks: int = 0

    def press(self, name: str) -> None:
        self.console.press(name)
        self.clicks += 1

    def types(self, label: str, words: str) -> None:
        self.console.page.locator("main").get_by_label(label).fill(words)

    def reads(self, *words: str, seconds: float = 15) -> None:
        for each in words:
            self.console.reads(each, seconds=seconds)

    def sees(self, name: str) -> None:
        photograph(self.console.page, f"first-{name}")


@pytest.fixture
def newcomer(browser: Browser) -> Iterator[Newcomer]:
    """An empty installation; Entra and BMS hold the demonstration's people."""
    with World() as world:
        host = world.start_host()
        accounts = make_accounts(world.bms)
        fill_bms(world.bms, Expected(Names(world.bms.accounts())), accounts)
        tenant = make_contoso(world.entra)
        world.entra.sign_in_as(None, tenant.id)  # Microsoft asks who signs in
        application, secret = register(world.entra, tenant, host.base_url)
        context = browser.new_context(
            viewport={"width": WIDE[0], "height": WIDE[1]},
            locale="en-GB",
            timezone_id="Europe/Berlin",
            proxy={"server": world.proxy_url, "bypass": "localhost,127.0.0.1"},
            ignore_https_errors=True,
        )
        context.set_default_timeout(15_000)
        console = Console(context.new_page(), host.base_url, world.admin_token)
        yield Newcomer(console, world, tenant, application, secret)
        photograph(console.page, "first-last")
        assert console.complaints == []
        context.close()


def test_an_empty_installation_leads_to_the_first_synced_person(newcomer: Newcomer) -> None:
    began = time.monotonic()

    newcomer.console.sign_in()
    newcomer.clicks += 1
    newcomer.reads("From nothing to the first synced person", "0 of 7 steps done")
    newcomer.sees("0-guide")
    _tells_how_bms_is_reached(newcomer)
    _adds_the_connection(newcomer)
    _connects(newcomer)
    _writes_a_rule(newcomer)
    _looks_before_anything_is_written(newcomer)
    _syncs(newcomer)
    _reads_why(newcomer)

    seconds = time.monotonic() - began
    sys.stdout.write(f"\n{newcomer.clicks} clicks, {seconds:.1f} s to the first person\n")
    assert newcomer.clicks < 40


def _tells_how_bms_is_reached(newcomer: Newcomer) -> None:
    newcomer.press("Enter the BMS sign-in")
    newcomer.types("Tenant", BMS_SETTINGS["tenant"])
    newcomer.types("User name", BMS_SETTINGS["userName"])
    newcomer.types("Password", "not the password")
    newcomer.press("Sign in and save")

    expect(newcomer.console.page.get_by_role("alert")).to_be_focused()
    newcomer.sees("1-bms-refused")
    newcomer.reads("BMS refused the sign-in: The tenant, user name or password is wrong.")
    tenant = newcomer.console.page.get_by_label("Tenant")
    assert tenant.input_value() == BMS_SETTINGS["tenant"]
    password = newcomer.console.page.get_by_label("Password")
    assert password.input_value() == ""

    newcomer.types("Password", BMS_SETTINGS["password"])
    newcomer.press("Sign in and save")
    newcomer.reads("1 of 7 steps done")


def _adds_the_connection(newcomer: Newcomer) -> None:
    newcomer.press("Add a connection")
    uri = f"{newcomer.console.base_url}/OAuth/IntegrationCallback.aspx"
    newcomer.reads(uri, "User.Read.All")
    newcomer.sees("2-add")
    newcomer.types("The customer’s domain", newcomer.tenant.domain)
    newcomer.types("Application (client) ID", newcomer.application)
    newcomer.types("Client secret, the Value", newcomer.secret)
    newcomer.press("Add the connection")
    newcomer.reads(newcomer.tenant.domain, "Connect")
    newcomer.sees("3-added")


def _connects(newcomer: Newcomer) -> None:
    page = newcomer.console.page
    page.locator("main").get_by_role("button", name=re.compile("^Connect")).first.click()
    newcomer.clicks += 1
    newcomer.reads("Pick an account")
    newcomer.sees("4-microsoft")
    page.get_by_role("link", name=re.compile(newcomer.tenant.administrator)).click()
    newcomer.clicks += 1
    if page.get_by_role("heading", name="Permissions requested").is_visible():
        newcomer.press("Accept")
    newcomer.reads("connected")
    newcomer.sees("5-connected")


def _writes_a_rule(newcomer: Newcomer) -> None:
    page = newcomer.console.page
    newcomer.press("Go on with the guide")
    newcomer.reads("3 of 7 steps done")
    newcomer.press("Add a mapping rule")
    newcomer.press("Add the first rule")
    page.get_by_label("Search groups by name or id").press_sequentially("Optics", delay=20)
    page.get_by_role("radio", name=re.compile("Optics staff")).check()
    page.get_by_label("BMS account").select_option(label=OPTICS)
    newcomer.clicks += 2
    place = page.locator("#location")
    expect(place).to_contain_text("the account’s main location (Main)")
    newcomer.sees("6-rule")
    newcomer.press("Add to the draft")
    newcomer.reads("1 change not saved")
    newcomer.press("Preview")
    newcomer.reads("people looked at", seconds=30)
    newcomer.sees("7-preview")
    assert re.search(r"\d+ created", newcomer.console.content)
    newcomer.reads("Saving the rules writes nothing to BMS yet")
    newcomer.press("Save")
    newcomer.reads("The rules are saved (1 new)")


def _looks_before_anything_is_written(newcomer: Newcomer) -> None:
    page = newcomer.console.page
    page.get_by_role("link", name="Guide").click()
    newcomer.clicks += 1
    newcomer.reads("4 of 7 steps done")
    newcomer.press("Look at the onboarding check")
    newcomer.reads("would be created", seconds=30)
    newcomer.sees("8-check")
    assert newcomer.world.bms.writes() == []


def _syncs(newcomer: Newcomer) -> None:
    newcomer.press("Start the first sync")
    newcomer.reads("Full sync", "people seen")
    newcomer.sees("9-sync")
    newcomer.console.page.get_by_text("done", exact=True).locator("visible=true").first.wait_for()
    newcomer.reads("Look at the people", seconds=60)
    newcomer.sees("10-synced")


def _reads_why(newcomer: Newcomer) -> None:
    newcomer.press("Look at the people")
    newcomer.reads("Ada Lindqvist")
    newcomer.sees("11-records")
    newcomer.press("Ada Lindqvist")
    newcomer.reads("From Entra to BMS", "Optics staff", f"becomes a contact at {OPTICS}", "won")
    newcomer.sees("12-explained")
    made = [each for each in newcomer.world.bms.contacts() if each.first_name == "Zoë"]
    assert [each.last_name for each in made] == ["Færber"]
