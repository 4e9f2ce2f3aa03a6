"""Every page: opens, passes axe, fits its window, light and dark, and shows names as text."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser.console import Console
from tests.browser.customer import Customer

pytestmark = pytest.mark.world

PAGES = {
    "waiting": "/console/waiting",
    "holds": "/console/waiting/holds",
    "conflicts": "/console/waiting/conflicts",
    "failures": "/console/waiting/failures",
    "worklist": "/console/waiting/worklist",
    "status": "/console/status",
}
HOSTILE_QUERY = "?q=%3Cscript%3Edocument.title%3D'owned'%3C%2Fscript%3E&cursor=&state=%22%3E%3Cb%3E"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_and_axe_finds_nothing_serious(console: Console, name: str) -> None:
    answer = console.open(PAGES[name])

    assert answer.status == 200
    assert console.page.locator("h1").count() == 1
    assert console.violations() == []
    assert console.page.title() != "owned"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_telephone_in_the_dark(
    browser: Browser, customer: Customer, name: str
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    console = Console(page, customer.story.host.base_url, customer.story.world.admin_token)
    console.sign_in()

    console.open(PAGES[name])

    assert not console.scrolls_sideways()
    assert console.violations() == []
    context.close()
