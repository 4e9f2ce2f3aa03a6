"""Key Vault and the App Service identity endpoint, as one process.

    python -m infra.local.vault --port 0 --tls-port 0 --cert server.pem --key server.key

`azure-keyvault-secrets` refuses plain http, so an app needs the TLS port, reached through the proxy
by the vault's real name. The identity endpoint is `http://127.0.0.1:PORT/msi/token`; the ready line
names the header that it wants.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import ssl

from aiohttp import web

from infra.local.network.ready import allow_many_connections, announce_and_wait
from infra.local.vault.control_routes import add_control_routes, fill
from infra.local.vault.identity import CLIENT_ID, TENANT_ID, Identity
from infra.local.vault.service import DEFAULT_VAULT, VaultService
from infra.local.vault.store import Switches

# A secret holds 25 kB at most; everything larger is refused before it is read.
_LARGEST_BODY = 256 * 1024


def _app(service: VaultService, *, plain: bool) -> web.Application:
    app = web.Application(client_max_size=_LARGEST_BODY)
    service.add_vault_routes(app)
    if plain:
        service.add_identity_route(app)
        add_control_routes(app, service)
    return app


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until told to end."""
    identity = Identity(
        arguments.identity_header or secrets.token_hex(16), token_seconds=arguments.token_seconds
    )
    switches = Switches(
        deletion_seconds=arguments.deletion_seconds, recovery_seconds=arguments.recovery_seconds
    )
    service = VaultService(identity, switches)
    if arguments.secrets:
        fill(service.store(DEFAULT_VAULT), arguments.secrets)
    ready: dict[str, object] = {}
    plain = web.AppRunner(_app(service, plain=True), access_log=None, shutdown_timeout=0.2)
    await plain.setup()
    await web.TCPSite(plain, "127.0.0.1", arguments.port, backlog=512).start()
    ready["port"] = plain.addresses[0][1]
    tls = web.AppRunner(_app(service, plain=False), access_log=None, shutdown_timeout=0.2)
    await tls.setup()
    if arguments.cert is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.cert, arguments.key)
        site = web.TCPSite(tls, "127.0.0.1", arguments.tls_port, ssl_context=context, backlog=512)
        await site.start()
        ready["tlsPort"] = tls.addresses[0][1]
    await announce_and_wait(
        **ready,
        identityPath="/msi/token",
        identityHeader=identity.header,
        clientId=CLIENT_ID,
        tenantId=TENANT_ID,
    )
    await asyncio.gather(plain.cleanup(), tls.cleanup())


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.vault")
    parser.add_argument("--port", type=int, default=0, help="plain http port (0: a free one)")
    parser.add_argument("--tls-port", type=int, default=0, help="https port (0: a free one)")
    parser.add_argument("--cert", help="certificate chain in PEM; without it no https port")
    parser.add_argument("--key", help="the certificate's key in PEM")
    parser.add_argument(
        "--identity-header", help="what X-IDENTITY-HEADER must say (default: random)"
    )
    parser.add_argument("--token-seconds", type=int, default=86_400, help="how long a token lives")
    parser.add_argument(
        "--deletion-seconds", type=float, default=0.0, help="how long a delete takes"
    )
    parser.add_argument(
        "--recovery-seconds", type=float, default=0.0, help="how long a recover takes"
    )
    parser.add_argument(
        "--secrets", type=int, default=0, help="fill the default vault with so many"
    )
    arguments = parser.parse_args()
    if (arguments.cert is None) != (arguments.key is None):
        parser.error("--cert and --key go together.")
    allow_many_connections()
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
