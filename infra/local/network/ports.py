"""Free ports on loopback."""

from __future__ import annotations

import random
import socket

# Below the range from which systems number outgoing connections (Linux from 32768, others from
# 49152): a port that is given back for a moment, as at a restart, is not taken by one of those.
_LOWEST, _HIGHEST = 15000, 32000
_random = random.SystemRandom()


def free_port() -> int:
    """Choose a port on 127.0.0.1 that nobody listens on."""
    for _ in range(200):
        port = _random.randrange(_LOWEST, _HIGHEST)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"No free port found between {_LOWEST} and {_HIGHEST} on 127.0.0.1.")
