"""Loads the app as Azure does, through Microsoft's worker library, and lists its functions.

    python -m infra.local.load_check

Nothing is started and nothing is called: importing and indexing must need no network. The settings
are the least that the app asks for. Exit status 1: the worker refuses the app, and says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import platform
import sys
import time

from infra.local.host.refusal import Refused
from infra.local.host.worker import load_app
from infra.local.process import KEPT_VARIABLES, REPOSITORY

_SETTINGS = {
    "AzureWebJobsStorage__accountName": "unreached",
    "KEY_VAULT_URL": "https://unreached.vault.azure.net",
    "PUBLIC_URL": "https://sync.example.com",
}


def main() -> int:
    """Load the app; the answer is the exit status."""
    for name in set(os.environ) - set(KEPT_VARIABLES):
        del os.environ[name]
    os.environ |= _SETTINGS
    # The library logs its own start-up on stdout and stderr; a refusal carries what matters.
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            metadata = asyncio.run(load_app(REPOSITORY))
    except Refused as refused:
        print(f"{refused.details}\n{refused.sentence}".strip(), file=sys.stderr)
        return 1
    names = sorted(str(entry.name) for entry in metadata)
    seconds = time.monotonic() - began
    print(f"Python {platform.python_version()}: {len(names)} functions in {seconds:.1f} s")
    print(f"  {', '.join(names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
