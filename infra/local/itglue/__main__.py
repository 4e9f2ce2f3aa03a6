"""`python -m infra.local.itglue --port P [--tls-port Q --cert F --key F]`.

Serves until SIGTERM or SIGINT. One line of JSON on stdout says that it is ready.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import ssl
from typing import Any

from infra.local.itglue.http_server import HttpServer
from infra.local.itglue.service import Service


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.itglue", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="plain HTTP port; 0 for a free one")
    parser.add_argument("--tls-port", type=int, help="HTTPS port; 0 for a free one")
    parser.add_argument("--cert", help="certificate chain for the HTTPS port (PEM)")
    parser.add_argument("--key", help="its private key (PEM)")
    options = parser.parse_args()
    if options.tls_port is not None and not (options.cert and options.key):
        parser.error("--tls-port needs --cert and --key")
    asyncio.run(_serve(options.port, options.tls_port, options.cert, options.key))


async def _serve(port: int, tls_port: int | None, cert: str | None, key: str | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    server = HttpServer(Service())
    ready: dict[str, Any] = {"ready": True, "port": await server.listen(port)}
    if tls_port is not None and cert is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        ready["tlsPort"] = await server.listen(tls_port, context, with_control=False)
    print(json.dumps(ready), flush=True)
    await stop.wait()
    await server.close()


if __name__ == "__main__":
    main()
