"""Makes the two app registrations, or prints the portal steps that do the same.

    python3 -m infra.azure.register_apps             as the preprovision hook of azd, or by hand
    python3 -m infra.azure.register_apps --print     the steps for the Entra admin center

Run again, it makes nothing twice. It makes no secret unless asked to (--secret), and shows that
once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from infra.azure.command_line import AzGraph, CommandFailed, deployment_values, keep, say
from infra.azure.portal_steps import portal_steps
from infra.azure.registrations import (
    ADMIN_ROLE,
    AlreadyThere,
    Graph,
    Registration,
    admit_clients,
    connector_body,
    console_body,
    give_role,
    known,
    open_console,
    register,
)

_NEEDED = {
    "AZURE_ENV_NAME": "azd env new NAME",
    "ALERT_EMAIL": "azd env set ALERT_EMAIL you@example.com",
}


def main(arguments: list[str] | None = None) -> int:
    """Make the registrations; the answer is the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--print", action="store_true", help="print the portal steps, do nothing")
    parser.add_argument("--environment", help="name of the deployment (AZURE_ENV_NAME)")
    parser.add_argument("--delegated-only", action="store_true", help="no application permissions")
    parser.add_argument("--secret", action="store_true", help="make a client secret, shown once")
    given = parser.parse_args(arguments)
    values = deployment_values()
    if given.environment:
        values["AZURE_ENV_NAME"] = given.environment
    if given.print:
        say(
            portal_steps(
                values.get("AZURE_ENV_NAME", "<name>"),
                values.get("PUBLIC_URL", ""),
                values.get("IDENTITY_PRINCIPAL_ID", ""),
            )
        )
        return 0
    if problem := missing(values):
        say(problem)
        return 1
    try:
        make(AzGraph(), values, keep, delegated_only=given.delegated_only, secret=given.secret)
    except AlreadyThere as there:
        say(
            f"There is an app registration '{there.name}' already ({there.client_id}). If it is "
            "yours, set its client id (azd env set CONSOLE_CLIENT_ID or CONNECTOR_CLIENT_ID); "
            "else rename it."
        )
        return 1
    except CommandFailed as error:
        if values.get("CONSOLE_CLIENT_ID"):
            say(f"{error}\nGoing on with the registrations as they are set.")
            return 0
        say(f"{error}\nWithout the right to do this, let somebody follow the steps of --print.")
        return 1
    return 0


def missing(values: Mapping[str, str]) -> str:
    """What must be set before, as a sentence; empty when all is there."""
    lacking = [f"{name} is not set: {how}" for name, how in _NEEDED.items() if not values.get(name)]
    return "\n".join(lacking)


def make(
    graph: Graph,
    values: Mapping[str, str],
    keep: Callable[[str, str], None],
    *,
    delegated_only: bool = False,
    secret: bool = False,
) -> None:
    """Make what is not there, and keep the ids for the deployment."""
    environment = values["AZURE_ENV_NAME"]
    console = _one(graph, values, "CONSOLE_CLIENT_ID", console_body(environment), keep)
    principal = open_console(graph, console)
    give_role(graph, principal, str((graph.get("me") or {})["id"]))
    admitted = [one.strip() for one in values.get("API_CLIENT_IDS", "").split(",") if one.strip()]
    admit_clients(graph, console, admitted)
    say(f"Console: {console.client_id}; you have its role {ADMIN_ROLE}")
    body = connector_body(environment, delegated_only=delegated_only)
    connector = _one(graph, values, "CONNECTOR_CLIENT_ID", body, keep)
    say(f"Connector: {connector.client_id}, the application id of your connections")
    if secret:
        made = graph.post(
            f"applications/{connector.object_id}/addPassword",
            {"passwordCredential": {"displayName": "directory sync"}},
        )
        say(f"Application key, shown this once: {made['secretText']}")
        say(f"It ends on {str(made['endDateTime'])[:10]}: enter that as secretExpiresOn.")


def _one(
    graph: Graph,
    values: Mapping[str, str],
    name: str,
    body: Mapping[str, Any],
    keep: Callable[[str, str], None],
) -> Registration:
    if client_id := values.get(name):
        there = known(graph, client_id)
        if there is None:
            raise CommandFailed(f"There is no app registration {client_id} ({name}).")
        return there
    made = register(graph, body)
    keep(name, made.client_id)  # at once: whatever fails afterwards, it is found again
    return made


if __name__ == "__main__":
    raise SystemExit(main())
