"""`python -m infra.local.entra --port P [--tls-port Q --cert F --key F] [--notify-ca F]`.

Prints one JSON line when it listens and serves until SIGTERM or SIGINT.
"""

import argparse
import asyncio
import json
import logging
import signal
import ssl
import sys

from infra.local.entra.server import Server, client_trust
from infra.local.entra.world import World


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.entra", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="plain http port, 0: a free one")
    parser.add_argument("--tls-port", type=int, help="TLS port, 0: a free one")
    parser.add_argument("--cert", help="certificate chain for the TLS port")
    parser.add_argument("--key", help="private key for the TLS port")
    parser.add_argument("--notify-ca", help="CA that https notification URLs are checked against")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    context = None
    if arguments.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.cert, arguments.key)
    server = Server(World())
    ports = await server.start(
        arguments.port, arguments.tls_port, context, client_trust(arguments.notify_ca)
    )
    print(json.dumps({"ready": True, **ports}), flush=True)
    await stop.wait()
    await server.stop()


def main() -> None:
    """Serve until told to stop."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(_serve(_arguments()))


if __name__ == "__main__":
    main()
