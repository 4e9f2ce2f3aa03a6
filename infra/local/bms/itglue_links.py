"""GET routes that tell which IT Glue record belongs to a BMS record."""

from __future__ import annotations

from infra.local.bms.calls import Call
from infra.local.bms.refusals import NotThere
from infra.local.bms.replies import Reply, enveloped


def status(call: Call) -> Reply:
    """GET /v2/integrations/itglue/status."""
    enabled = call.world.itglue_enabled
    return enveloped(
        {
            "MasterTenantId": None,
            "ITGlueAccountId": 88001 if enabled else None,
            "IsEnabled": enabled,
            "Subdomain": "northwind" if enabled else None,
            "Region": 1,
            "IsTicketSyncEnabled": False,
        },
        call.switches,
    )


def account(call: Call) -> Reply:
    """GET /v2/integrations/itglue/accounts/{accountId}/lookup."""
    return _link(call, "accounts")


def contact(call: Call) -> Reply:
    """GET /v2/integrations/itglue/contacts/{contactId}/lookup."""
    return _link(call, "contacts")


def location(call: Call) -> Reply:
    """GET /v2/integrations/itglue/locations/{locationId}/lookup."""
    return _link(call, "locations")


def _link(call: Call, kind: str) -> Reply:
    link = call.world.itglue_links.get((kind, call.ids[0]))
    if link is None or not call.world.itglue_enabled:
        raise NotThere(f"No IT Glue record belongs to {kind} {call.ids[0]}.")
    return enveloped({"Id": link[0], "Name": link[1]}, call.switches)
