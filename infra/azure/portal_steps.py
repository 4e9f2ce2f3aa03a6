"""The steps in the Entra admin center that do what register_apps does."""

from __future__ import annotations

from infra.azure.registrations import (
    ADMIN_ROLE,
    APPLICATION,
    CALLBACK,
    DELEGATED,
    SIGN_IN_CALLBACK,
    connector_body,
    console_body,
)


def portal_steps(environment: str, public_url: str = "", principal_id: str = "") -> str:
    """What to click, with the exact values; addresses are placeholders until they are known."""
    url = public_url or "<PUBLIC_URL>"
    identity = principal_id or "<IDENTITY_PRINCIPAL_ID>"
    connector = connector_body(environment)["displayName"]
    console = console_body(environment)["displayName"]
    role = console_body(environment)["appRoles"][0]
    return f"""\
Entra admin center (https://entra.microsoft.com), signed in as Cloud Application Administrator (or
Application Administrator).

Before the deployment

The console: signs your own administrators in
 1. Entra ID > App registrations > New registration. Name: {console}.
    Supported account types: Single tenant only (formerly: Accounts in this organizational directory
    only). Register. Note the Application (client) ID: it is CONSOLE_CLIENT_ID.
 2. Expose an API > Application ID URI: Add > Save (api://<client id>). Add a scope:
    user_impersonation, Who can consent: Admins only. For scripts with the Azure CLI: Add a client
    application > 04b07795-8ddb-461a-bbee-02f9e1bf7b46, with that scope.
 3. App roles > Create app role. Display name: {role["displayName"]}. Allowed member types: Both.
    Value: {ADMIN_ROLE}. Description: {role["description"]}
 4. Manifest: "api" > "requestedAccessTokenVersion": 2. Save.
 5. Entra ID > Enterprise apps > {console} > Properties > Assignment required? Yes. Save.
 6. The same > Users and groups > Add user/group: every administrator, role {role["displayName"]}.
 7. The same > Permissions > Grant admin consent. (User.Read, for the sign-in alone.)

The connector: customers consent to it
 8. App registrations > New registration. Name: {connector}.
    Supported account types: Multiple Entra ID tenants (formerly: Accounts in any organizational
    directory). Register. Note the Application (client) ID: a connection's application id.
 9. API permissions > Add a permission > Microsoft Graph:
    Delegated permissions: {", ".join(DELEGATED)}.
    Application permissions (recommended): {", ".join(APPLICATION)}.
10. Certificates & secrets > Client secrets > New client secret, 12 months at most. Note the Value
    (not the Secret ID) and the end date: a connection's application key and secretExpiresOn.

After the deployment (its outputs are PUBLIC_URL, APP_URL and IDENTITY_PRINCIPAL_ID)
11. {connector} > Authentication > Redirect URI configuration > Add Redirect URI > Web:
     {url}{CALLBACK}
12. {console} > Authentication > Redirect URI configuration > Add Redirect URI > Web:
     {url}{SIGN_IN_CALLBACK}
    (with a custom domain also <APP_URL>{SIGN_IN_CALLBACK}); Settings > ID tokens: on. Save.
13. {console} > Certificates & secrets > Federated credentials > Add credential > Managed identity:
    the user-assigned identity of the deployment (object id {identity}),
    audience api://AzureADTokenExchange.
"""
