"""After the resources are there: joins the registrations with them, and waits for the vault.

    python3 -m infra.azure.join_apps                 the postprovision hook of azd

Adds the redirect URIs, lets the app's identity vouch for the console in place of a secret, and
waits until the app's reference to Key Vault is resolved, since a new role takes some minutes to
work. What fails here is said with what to do; the deployment goes on, and check_deployment judges.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.azure.command_line import AzGraph, CommandFailed, deployment_values, rest, run, say
from infra.azure.portal_steps import portal_steps
from infra.azure.registrations import (
    CALLBACK,
    SIGN_IN_CALLBACK,
    Graph,
    Registration,
    add_redirect,
    known,
    trust_identity,
)

_MANAGEMENT = "https://management.azure.com"
_API = "api-version=2022-03-01"
_NEEDED = (
    "AZURE_ENV_NAME",
    "AZURE_RESOURCE_GROUP",
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_TENANT_ID",
    "CONSOLE_CLIENT_ID",
    "FUNCTION_APP_NAME",
    "IDENTITY_PRINCIPAL_ID",
    "PUBLIC_URL",
)
_WAIT_SECONDS, _PAUSE = 900.0, 15.0


def main() -> int:
    """Join and wait; the answer is the exit status: 0, but where a value is missing."""
    values = deployment_values()
    if lacking := [name for name in _NEEDED if not values.get(name)]:
        say(f"Not set: {', '.join(lacking)}. They are outputs of the deployment: docs/deploy.md.")
        return 1
    try:
        join(AzGraph(), values)
    except CommandFailed as error:
        say(f"{error}\nThe registrations could not be changed; what is left to do by hand:\n")
        identity = values["IDENTITY_PRINCIPAL_ID"]
        say(portal_steps(values["AZURE_ENV_NAME"], values["PUBLIC_URL"], identity))
    try:
        site = f"{_MANAGEMENT}{_site_id(values)}/config/configreferences/appsettings"
        wait(lambda: _unresolved(site), lambda: _refresh(site))
    except CommandFailed as error:
        say(f"{error}\nWhether the Key Vault references are resolved could not be seen.")
    return 0


def join(graph: Graph, values: Mapping[str, str]) -> None:
    """Redirect URIs of both registrations, and the federated credential of the console."""
    url = values["PUBLIC_URL"].rstrip("/")
    connector = _found(graph, values.get("CONNECTOR_CLIENT_ID", ""))
    console = _found(graph, values["CONSOLE_CLIENT_ID"])
    if connector is not None:
        add_redirect(graph, connector, f"{url}{CALLBACK}")
        say(f"Connector: {url}{CALLBACK}")
    if console is not None:
        for address in dict.fromkeys([url, values.get("APP_URL", url).rstrip("/")]):
            add_redirect(graph, console, f"{address}{SIGN_IN_CALLBACK}")
        issuer = f"https://login.microsoftonline.com/{values['AZURE_TENANT_ID']}/v2.0"
        trust_identity(graph, console, issuer, values["IDENTITY_PRINCIPAL_ID"])
        say("Console: joined with the function app's identity")


def wait(unresolved: Callable[[], list[str]], refresh: Callable[[], None]) -> None:
    """Ask until every reference is resolved, or until that takes too long."""
    end = time.monotonic() + _WAIT_SECONDS
    while names := unresolved():
        if time.monotonic() > end:
            say(
                f"Key Vault references are still not resolved: {', '.join(names)}. See "
                "docs/operate.md, 'The app does not start'."
            )
            return
        say(f"Waiting until the new roles work ({', '.join(names)}).")
        time.sleep(_PAUSE)
        refresh()


def _found(graph: Graph, client_id: str) -> Registration | None:
    return known(graph, client_id) if client_id else None


def _site_id(values: Mapping[str, str]) -> str:
    # fmt: off
    shown = run([
        "az", "functionapp", "show", "--only-show-errors", "--query", "id", "--output", "tsv",
        "--resource-group", values["AZURE_RESOURCE_GROUP"], "--name", values["FUNCTION_APP_NAME"],
        "--subscription", values["AZURE_SUBSCRIPTION_ID"],
    ])
    # fmt: on
    return shown.strip()


def _unresolved(site: str) -> list[str]:
    answer: dict[str, Any] = rest("get", f"{site}?{_API}")
    return [
        str(one.get("name", "")).rsplit("/", 1)[-1]
        for one in answer.get("value", [])
        if (one.get("properties") or {}).get("status") != "Resolved"
    ]


def _refresh(site: str) -> None:
    rest("post", f"{site}/refresh?{_API}")


if __name__ == "__main__":
    raise SystemExit(main())
