"""Every page: opens, passes axe, fits its window, light and dark, and shows names as text."""

from __future__ import annotations

from itertools import product
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import photograph
from tests.browser.console import NARROW, WIDE, Console
from tests.browser.customer import IMAGE, SCRIPT, Customer
from tests.browser.pages import ADDRESSES, MISSING, QUERIED, STEPS

pytestmark = pytest.mark.world

_NAMES = (
    *("q", "cursor", "state", "kind", "person", "connectionId", "connection", "name", "day"),
    *("zone", "show", "peopleQ", "back", "next", "userId", "limit", "again", "within"),
)


@pytest.fixture(scope="module")
def places(customer: Customer) -> dict[str, str]:
    return customer.places()


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_page_opens_fits_every_window_and_passes_axe(
    desk: Console, places: dict[str, str], name: str
) -> None:
    answer = desk.open(ADDRESSES[name].format(**places))

    assert answer.status == 200
    _looks_right(desk, name)


@pytest.mark.parametrize("name", MISSING)
def test_a_page_of_what_is_not_there_says_so_and_passes_axe(
    desk: Console, places: dict[str, str], name: str
) -> None:
    answer = desk.open(MISSING[name].format(**places))

    assert answer.status == 404
    _looks_right(desk, name)


@pytest.mark.parametrize("name", STEPS)
def test_a_page_behind_a_button_fits_every_window_and_passes_axe(
    desk: Console, places: dict[str, str], name: str
) -> None:
    STEPS[name](desk, places)

    desk.settle()
    _looks_right(desk, name)


def test_the_sign_in_fits_every_window_and_passes_axe(page: Page, customer: Customer) -> None:
    stranger = Console(page, customer.story.host.base_url, "not-the-token")

    stranger.open("/console/records?q=x")
    _looks_right(stranger, "sign-in")
    page.get_by_label("Admin token").fill(stranger.token)
    stranger.press("Sign in")

    assert "This is not the value of the setting ADMIN_TOKEN" in stranger.content
    _looks_right(stranger, "sign-in-refused")


def test_a_hostile_query_is_shown_as_text_and_never_breaks_a_page(
    desk: Console, places: dict[str, str]
) -> None:
    hostile = (f"{SCRIPT}{IMAGE}{{{{7*191}}}}\u0000'\\", "9" * 400)
    broken: list[str] = []
    shown = 0

    for place, value in product(QUERIED, hostile):
        address = place.format(**places) + "?" + urlencode(dict.fromkeys(_NAMES, value))
        for part in ("", "true") if value == hostile[0] else ("",):
            reply = desk.page.request.get(
                desk.base_url + address,
                headers={"HX-Request": part} if part else {},
                max_redirects=0,
            )
            text = reply.text()
            if reply.status >= 500:
                broken.append(f"{reply.status} {address[:100]}")
            if reply.headers["content-type"].startswith("text/html") and (
                SCRIPT in text or "<img src=x" in text or "1337" in text
            ):
                broken.append(f"not as text: {address[:100]}")
            shown += "&lt;script&gt;" in text
    for place in ("/console/records", "/console/activity", "/console/drift"):
        desk.open(f"{place}?" + urlencode({"q": SCRIPT, "person": IMAGE, "back": "javascript:0"}))
        broken += desk.injected()

    assert not broken, "\n".join(broken)
    assert shown > 5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("person-hostile", SCRIPT),
        ("records", IMAGE),
        ("activity", SCRIPT),
        ("drift", IMAGE),
        ("conflict", IMAGE),
        ("worklist", IMAGE),
        ("rules", SCRIPT),
        ("undone", SCRIPT),
    ],
)
def test_a_hostile_name_is_read_as_it_was_typed(
    desk: Console, places: dict[str, str], name: str, words: str
) -> None:
    desk.resize(WIDE, dark=False)

    desk.open(ADDRESSES[name].format(**places))
    desk.reads(words)

    assert desk.injected() == []


def test_a_preview_shows_hostile_names_as_text(desk: Console, places: dict[str, str]) -> None:
    desk.resize(WIDE, dark=False)

    desk.open(f"{places['connection']}/rules")
    desk.press(f"Remove the rule of Group {SCRIPT}")
    desk.press("Preview")
    desk.reads("people looked at", seconds=30)
    desk.reads(f"{SCRIPT} {IMAGE}")

    assert desk.injected() == []


def test_times_are_in_the_readers_zone(desk: Console, places: dict[str, str]) -> None:
    desk.open("/console/activity")

    told = desk.page.evaluate(
        """() => [...document.querySelectorAll('main time')].map(each => [each.textContent,
          new Intl.DateTimeFormat('en-GB', {dateStyle: 'medium', timeStyle: 'short',
            timeZone: 'Europe/Berlin'}).format(new Date(each.dateTime))])"""
    )
    assert told
    assert all(read == meant for read, meant in told)
    assert "Times are in your zone, Europe/Berlin." in desk.page.locator("footer").inner_text()


def _looks_right(desk: Console, name: str) -> None:
    """In a wide and light, and in a narrow and dark window."""
    found: list[str] = []
    heads = desk.page.locator("h1").count()
    if heads != 1:
        found.append(f"{heads} headings of the first rank")
    for size, dark in ((WIDE, False), (NARROW, True)):
        desk.resize(size, dark=dark)
        shade = "dark" if dark else "light"
        seen = desk.violations(by_looks=dark)
        found += [f"{size[0]} px, {shade}: {each}" for each in seen]
        found += [f"{size[0]} px: too wide: {each}" for each in desk.too_wide()]
        photograph(desk.page, f"{name}-{size[0]}-{shade}")
    desk.resize(WIDE, dark=False)
    found += desk.injected() + desk.complaints
    desk.complaints.clear()
    assert not found, "\n".join(found)
