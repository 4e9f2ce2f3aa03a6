"""A real browser before the real app, with something on every page.

Each test leaves screenshots in `.local/screenshots`, which git ignores. Without a Chromium the
tests are skipped, and one line at the end says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from infra.local.browser import ARGUMENTS, SKIPPED, find_browser
from infra.local.world import World
from tests.browser.console import WIDE, Console
from tests.browser.customer import Customer
from tests.stories.story import Story

SCREENSHOTS = Path(__file__).resolve().parents[2] / ".local" / "screenshots"
ZONE = "Europe/Berlin"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    path = find_browser()
    if path is None:
        pytest.skip(f"{SKIPPED}: there is no Chromium on this machine.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def customer(browser: Browser) -> Iterator[Customer]:
    """One customer for all tests; whoever changes something has his own part of him."""
    with World() as world:
        made = Customer(Story(world, world.start_host()))
        made.settle()
        yield made


def _window(browser: Browser, *, script: bool = True) -> BrowserContext:
    """A browser of somebody who has never been here."""
    one = browser.new_context(
        viewport={"width": WIDE[0], "height": WIDE[1]},
        timezone_id=ZONE,
        locale="en-GB",
        reduced_motion="reduce",
        java_script_enabled=script,
    )
    one.set_default_timeout(15_000)
    return one


@pytest.fixture(scope="module")
def desk(browser: Browser, customer: Customer) -> Iterator[Console]:
    """One signed-in browser for all tests that only look."""
    context = _window(browser)
    opened = Console(
        context.new_page(), customer.story.host.base_url, customer.story.world.admin_token
    )
    opened.sign_in()
    yield opened
    context.close()


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A browser of his own; without scripts where a test is marked so by its parameter."""
    one = _window(browser, script=getattr(request, "param", True))
    yield one
    one.close()


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Its page."""
    one = context.new_page()
    yield one
    photograph(one, request.node.name)


@pytest.fixture
def console(customer: Customer, page: Page) -> Iterator[Console]:
    """The console of that customer, signed in; what the browser complains about fails the test."""
    opened = Console(page, customer.story.host.base_url, customer.story.world.admin_token)
    opened.sign_in()
    yield opened
    assert opened.complaints == []


def photograph(page: Page, name: str) -> None:
    """Keep what the page looks like."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    plain = "".join(sign if sign.isalnum() else "-" for sign in name).strip("-")[:100]
    page.screenshot(path=SCREENSHOTS / f"{plain}.png", full_page=True)
