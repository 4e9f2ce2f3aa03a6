"""`make run EMPTY=1`: an empty installation, and what a technician needs to set it up himself.

Entra and BMS hold the demo's people and accounts; the app knows nothing yet. What is printed here a
technician would have noted in the Entra admin center and been told by his BMS administrator.
"""

from __future__ import annotations

from infra.local.bms.control import BmsControl
from infra.local.demo_cast import fill_bms, make_contoso, make_fabrikam
from infra.local.demo_check import Expected, Names
from infra.local.demo_columns import padded, say
from infra.local.demo_setup import BMS_SETTINGS, make_accounts, register
from infra.local.entra.control import EntraControl


def prepare(entra: EntraControl, bms: BmsControl, base_url: str) -> None:
    """Fill Entra and BMS, register an application per tenant, and say what to enter."""
    account_ids = make_accounts(bms)
    fill_bms(bms, Expected(Names(bms.accounts())), account_ids)
    say("\nBMS, to be entered in the console")
    for name, what in (
        ("tenant", "Tenant"),
        ("userName", "User name"),
        ("password", "Password"),
        ("apiUrl", "API address"),
        ("gatewayUrl", "Sign-in address"),
    ):
        say(f"  {padded(what, 26)} {BMS_SETTINGS[name]}")
    for tenant, group, account in (
        (make_contoso(entra), "Optics staff", "Contoso Optics"),
        (make_fabrikam(entra), "Bakery people", "Fabrikam Bakeries"),
    ):
        application, secret = register(entra, tenant, base_url)
        say(f"\nThe customer {tenant.domain}, whose app registration is ready")
        say(f"  {padded('Domain', 26)} {tenant.domain}")
        say(f"  {padded('Application (client) ID', 26)} {application}")
        say(f"  {padded('Client secret', 26)} {secret}")
        say(f"  {padded('Mapping rule', 26)} group {group} → account {account}")
