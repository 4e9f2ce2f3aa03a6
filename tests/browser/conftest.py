"""A real browser before the real app, with something on every page.

Each test leaves a screenshot in `.local/screenshots`, which git ignores. Without a Chromium the
tests are skipped, and one line at the end says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from infra.local.browser import ARGUMENTS, SKIPPED, find_browser
from infra.local.world import World
from tests.browser.console import Console
from tests.browser.customer import Customer
from tests.stories.story import Story

SCREENSHOTS = Path(__file__).resolve().parents[2] / ".local" / "screenshots"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    path = find_browser()
    if path is None:
        pytest.skip(f"{SKIPPED}: there is no Chromium on this machine.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def customer(browser: Browser) -> Iterator[Customer]:
    """One customer for all tests that only look; whoever changes something has his own part."""
    with World() as world:
        made = Customer(Story(world, world.start_host()))
        made.settle()
        yield made


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of somebody who has never been here."""
    one = browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="Europe/Berlin")
    one.set_default_timeout(15_000)
    yield one
    one.close()


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Its page; what the browser complains about fails the test."""
    one = context.new_page()
    complaints: list[str] = []
    one.on("pageerror", lambda error: complaints.append(str(error)))
    one.on(
        "console",
        lambda said: (
            complaints.append(said.text)
            if said.type == "error" and "Failed to load resource" not in said.text
            else None
        ),
    )
    yield one
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name)[:100]
    one.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    assert complaints == []


@pytest.fixture
def console(customer: Customer, page: Page) -> Console:
    """The console of that customer, signed in."""
    opened = Console(page, customer.story.host.base_url, customer.story.world.admin_token)
    opened.sign_in()
    return opened
