"""A person before the console: opens pages, and looks at them with axe's eyes too."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Response

AXE = Path(__file__).resolve().parents[2] / "infra/local/node_modules/axe-core/axe.min.js"
_BAD = ("serious", "critical")


class Console:
    """The console of one app, in one browser page."""

    def __init__(self, page: Page, base_url: str, token: str) -> None:
        self.page, self.base_url, self.token = page, base_url, token

    def sign_in(self) -> None:
        """Sign in with the token that the terminal printed."""
        self.page.goto(f"{self.base_url}/console/sign-in")
        self.page.get_by_label("Admin token").fill(self.token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(re.compile(r"/console/(guide|connections)"))

    def open(self, path: str) -> Response:
        """Open a page of the console."""
        answer = self.page.goto(f"{self.base_url}{path}")
        assert answer is not None
        self.page.wait_for_load_state("networkidle")
        return answer

    def violations(self) -> list[str]:
        """What axe finds of a serious kind on this page."""
        self.page.evaluate(_axe())
        found: dict[str, Any] = self.page.evaluate(
            "() => axe.run(document, {resultTypes: ['violations']})"
        )
        return [
            f"{each['id']}: {each['help']} {[node['target'] for node in each['nodes'][:3]]}"
            for each in found["violations"]
            if each["impact"] in _BAD
        ]

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the window."""
        wide: bool = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        return wide


@cache
def _axe() -> str:
    return AXE.read_text(encoding="utf-8")
