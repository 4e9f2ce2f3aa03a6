"""A person before the console: opens pages, reads them, and looks at them with axe's eyes too."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Dialog, Page, Response, expect

AXE = Path(__file__).resolve().parents[2] / "infra/local/node_modules/axe-core/axe.min.js"
WIDE, NARROW = (1440, 900), (360, 740)
_BAD = ("serious", "critical")
_BY_LOOKS = (
    *("color-contrast", "target-size", "scrollable-region-focusable", "link-in-text-block"),
    *("empty-table-header", "label", "button-name", "link-name", "aria-hidden-focus"),
)
# What no name may ever become: a script, an image from elsewhere, an element that listens.
_INJECTED = """() => [...document.querySelectorAll('*')].filter(each =>
    (each.tagName === 'SCRIPT' && !each.src.includes('/console/static/'))
    || (each.tagName === 'IMG' && !each.src.includes('/console/static/'))
    || [...each.attributes].some(one => one.name.startsWith('on'))
  ).map(each => each.outerHTML.slice(0, 120))"""
_TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll('main *, header *, footer *')]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1
      && !each.closest('.pages, pre, .chart'))
    .slice(0, 5).map(each => each.tagName + '.' + each.className + ': ' +
      each.textContent.trim().slice(0, 40))
    .concat(`the page is ${document.documentElement.scrollWidth} wide`)"""


class Console:
    """The console of one app, in one browser page. `complaints`: what the browser said against it.

    Questions before what is hard to take back are answered with yes.
    """

    def __init__(self, page: Page, base_url: str, token: str) -> None:
        self.page, self.base_url, self.token = page, base_url, token
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("dialog", self._answer)

    def sign_in(self) -> None:
        """Sign in with the token that the terminal printed."""
        self.page.goto(f"{self.base_url}/console/sign-in")
        self.page.get_by_label("Admin token").fill(self.token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(re.compile(r"/console/(guide|connections)"))

    def open(self, path: str) -> Response:
        """Open a page of the console, with the parts that it fetches at once."""
        answer = self.page.goto(f"{self.base_url}{path}")
        assert answer is not None
        self.settle()
        return answer

    def settle(self) -> None:
        """Wait until the page stands still."""
        self.page.wait_for_load_state()
        expect(self.page.locator(".htmx-request")).to_have_count(0)

    def press(self, name: str, *, exact: bool = True) -> None:
        """Press the button or follow the link of that name in the page's content."""
        main = self.page.locator("main")
        found = main.get_by_role("button", name=name, exact=exact)
        found = found.or_(main.get_by_role("link", name=name, exact=exact))
        found.first.click()
        self.page.wait_for_load_state()

    def reads(self, words: str, *, seconds: float = 15) -> None:
        """Wait until the content says these words where a person can see them."""
        found = self.page.locator("main").get_by_text(words).locator("visible=true").first
        found.wait_for(timeout=seconds * 1000)

    def press_sign_out(self) -> None:
        """Leave."""
        self.page.get_by_role("button", name="Sign out").click()
        self.page.wait_for_url(re.compile("/console/sign-in"))

    def tab_to(self, name: str, *, start: str = "") -> None:
        """Press Tab until the focus is on what has this name, as someone without a mouse does."""
        if start:
            self.open(start)
        wanted = self.page.get_by_label(name, exact=False)
        wanted = wanted.or_(self.page.get_by_role("link", name=name, exact=True))
        wanted = wanted.or_(self.page.get_by_role("button", name=name, exact=True))
        handle = wanted.first.element_handle()
        for _ in range(80):
            self.page.keyboard.press("Tab")
            if handle.evaluate("each => each === document.activeElement"):
                return
        raise AssertionError(f"Tab never comes to {name}")

    @property
    def content(self) -> str:
        """What the page's content says."""
        return self.page.locator("main").inner_text()

    def resize(self, size: tuple[int, int], *, dark: bool) -> None:
        """Another window, light or dark."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.emulate_media(color_scheme="dark" if dark else "light")

    def violations(self, *, by_looks: bool = False) -> list[str]:
        """What axe finds of a serious kind on this page; or only what colours and width change."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(_axe())
        options: dict[str, object] = {"resultTypes": ["violations"]}
        if by_looks:
            options["runOnly"] = {"type": "rule", "values": list(_BY_LOOKS)}
        found: dict[str, Any] = self.page.evaluate("all => axe.run(document, all)", options)
        return [
            f"{each['id']}: {each['help']} {[node['html'][:120] for node in each['nodes'][:3]]}"
            for each in found["violations"]
            if each["impact"] in _BAD
        ]

    def too_wide(self) -> list[str]:
        """What sticks out when the page is wider than the window."""
        found: list[str] = self.page.evaluate(_TOO_WIDE)
        return found

    def injected(self) -> list[str]:
        """Elements that only a name taken as HTML can have made."""
        found: list[str] = self.page.evaluate(_INJECTED)
        return found + (["the title"] if self.page.title() == "owned" else [])

    def _hear(self, kind: str, text: str) -> None:
        # A page that is refused is shown with its status; the browser reports that as an error.
        if kind == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)

    def _answer(self, dialog: Dialog) -> None:
        if dialog.type in ("alert", "prompt"):
            self.complaints.append(f"{dialog.type}: {dialog.message}")
        dialog.accept()


@cache
def _axe() -> str:
    return AXE.read_text(encoding="utf-8")
