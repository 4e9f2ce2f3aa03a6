"""Finds a Chromium for the tests of the console, or installs Debian's where that is allowed.

    python -m infra.local.browser

Says in one line which one it is, or why there is none; the exit status is 0 either way, since the
tests say again that they were skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
# Nothing but the pages under test is asked for, by no part of the browser.
ARGUMENTS = (
    "--no-sandbox",  # the tests may run as root in a container, where its sandbox cannot start
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SKIPPED = "Browser tests were skipped"
_CHOSEN = "CONSOLE_TEST_BROWSER"  # another one, by its path
_TEN_MINUTES = 600


def find_browser() -> str | None:
    """The path of a Chromium on this machine."""
    chosen = os.environ.get(_CHOSEN)
    if chosen:
        return shutil.which(chosen)
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def install_browser() -> str:
    """Install Debian's Chromium; empty when it worked, else why it did not."""
    apt = shutil.which("apt-get")
    if apt is None:
        return "there is no Chromium here, and no apt-get to install it with"
    if os.geteuid() != 0:
        return "there is no Chromium here, and only root may install it (apt-get install chromium)"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update", "-qq"), ("install", "-y", "-qq", "--no-install-recommends")):
        packages = () if words[0] == "update" else ("chromium", "fonts-dejavu-core")
        try:
            done = subprocess.run(
                [apt, *words, *packages],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TEN_MINUTES,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"apt-get {words[0]} did not end within ten minutes"
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no word why"])[-1]
            return f"apt-get {words[0]} failed: {last}"
    return "" if find_browser() else "apt-get installed Chromium, but it is not on the path"


def main() -> int:
    """Make sure of a browser, and say how it went."""
    if find_browser() is None:
        print("Installing Chromium for the browser tests.", flush=True)
        if trouble := install_browser():
            print(f"{SKIPPED}: {trouble}.")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
