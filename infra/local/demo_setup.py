"""What a technician does before the first sync: connect the tenants, map groups to accounts."""

from __future__ import annotations

from infra.local.admin import Admin
from infra.local.bms.control import BmsControl
from infra.local.demo_cast import ACCOUNTS, BAKERY, KITCHEN, OPTICS, WORKSHOP, Tenant
from infra.local.demo_check import Names
from infra.local.demo_columns import padded, say
from infra.local.demo_story import Stage, StoryFailed
from infra.local.entra.control import EntraControl

BMS_SETTINGS = {
    "apiUrl": "https://api.bms.kaseya.com",
    "gatewayUrl": "https://bms.kaseya.com",
    "tenant": "Northwind MSP",
    "userName": "directory.sync",
    "password": "correct horse battery staple",
}
MODES = {
    "contoso.example": "delegated",
    "fabrikam.example": "application",
    "northwind.example": "application",
}
APPLICATION_IDS = {
    "contoso.example": "c0470505-0000-4000-8000-00000000d310",
    "fabrikam.example": "fab41ca4-0000-4000-8000-00000000d310",
    "northwind.example": "4074471d-0000-4000-8000-00000000d310",
}


def make_accounts(bms: BmsControl) -> dict[str, int]:
    """Make the customers' accounts in BMS; their ids by name."""
    return {
        name: bms.add_account(
            name,
            locations=[{"name": place, "is_main": place == "Main"} for place in places],
        ).id
        for name, places in ACCOUNTS.items()
    }


def register(entra: EntraControl, tenant: Tenant, base_url: str) -> tuple[str, str]:
    """Register an application for the app at this address; its id and its secret."""
    application, secret = APPLICATION_IDS[tenant.domain], f"secret-of-{tenant.domain}"
    redirect_uri = f"{base_url}/OAuth/IntegrationCallback.aspx"
    entra.register_app(application, tenant.id, secret, [redirect_uri], consent=False)
    return application, secret


def connect(admin: Admin, entra: EntraControl, tenant: Tenant) -> str:
    """Register an application in the tenant, connect it as a person does; the connection's id."""
    mode = MODES[tenant.domain]
    application, secret = register(entra, tenant, admin.base_url)
    body = {
        "tenantDomain": tenant.domain,
        "applicationId": application,
        "applicationKey": secret,
        "mode": mode,
    }
    connection = admin.call("POST", "/api/connections", body)
    admin.connect(connection["id"])
    now = admin.call("GET", f"/api/connections/{connection['id']}")
    if now["state"] != "connected":
        raise StoryFailed(f"{tenant.domain} is {now['state']}: {now['reason']}")
    how = {
        "delegated": f"{tenant.administrator} signed in and consented",
        "application": f"{tenant.administrator} gave admin consent, nobody stays signed in",
    }[mode]
    say(f"  {padded(tenant.domain, 18)} {padded(mode, 12)} {how}")
    return str(connection["id"])


def map_groups(stage: Stage, account_ids: dict[str, int], names: Names) -> None:
    """Write the mapping rules of both tenants."""
    kitchen = next(one for one, name in names.locations.items() if name == KITCHEN)
    for tenant, order, group, account, location in (
        (stage.contoso, 1, "workshop", WORKSHOP, None),
        (stage.contoso, 2, "staff", OPTICS, None),
        (stage.fabrikam, 1, "kitchen", BAKERY, kitchen),
        (stage.fabrikam, 2, "bakery", BAKERY, None),
    ):
        rule = stage.admin.call(
            "POST",
            "/api/mapping-rules",
            {
                "connectionId": stage.connections[tenant.domain],
                "groupId": tenant.groups[group],
                "order": order,
                "recordType": "contact",
                "accountId": account_ids[account],
                "locationId": location,
            },
        )
        where = account if location is None else f"{account}, {names.locations[location]}"
        head = f"{padded(tenant.domain, 18)} Order {order}  {padded(rule['groupName'], 14)}"
        say(f"  {head} → {where}")
