"""What must be true of the deployment; each rule answers with sentences about what is not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.checks.bicep_tree import Files, at, body, resources, texts

# Microsoft's own list, learn.microsoft.com/azure/role-based-access-control/built-in-roles.
ROLE_IDS = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
PYTHON = "3.13"
_ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_GUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
# Functions that hand out keys, and properties that are or hold some.
_HANDS_OUT_KEYS = re.compile(
    r"\b(list\w*(Keys?|Secrets?|Credentials?|Sas)\w*|getSecret)\s*\(", re.I
)
_IS_A_KEY = re.compile(
    r"ConnectionString|InstrumentationKey|AccountKey|SharedAccess|primaryKey|clientSecret$", re.I
)
# Excluded from App Service Authentication are all routes but those of administrators.
_FOR_ADMINISTRATORS = ("api/", "console/", "console")


@dataclass(frozen=True)
class HttpRoute:
    """A route of the app as the worker library lists it."""

    function: str
    route: str


def plan_and_runtime(files: Files) -> list[str]:
    """Flex Consumption, the Python that is tested, uploads and package by identity."""
    wanted: list[tuple[str, str, Any]] = [
        ("Microsoft.Web/serverfarms", "sku.name", "FC1"),
        ("Microsoft.Web/serverfarms", "sku.tier", "FlexConsumption"),
        ("Microsoft.Web/serverfarms", "properties.reserved", True),
        ("Microsoft.Web/sites", "properties.httpsOnly", True),
        ("Microsoft.Web/sites", "properties.siteConfig.minTlsVersion", "1.2"),
        ("Microsoft.Web/sites", "properties.siteConfig.ftpsState", "Disabled"),
        ("Microsoft.Web/sites", "properties.functionAppConfig.runtime.name", "python"),
        ("Microsoft.Web/sites", "properties.functionAppConfig.runtime.version", PYTHON),
        (
            "Microsoft.Web/sites",
            "properties.functionAppConfig.deployment.storage.authentication.type",
            "UserAssignedIdentity",
        ),
        ("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "properties.allow", False),
    ]
    return _must_be(files, wanted)


def nothing_by_key(files: Files) -> list[str]:
    """Keys and passwords are switched off wherever Azure has a switch for it."""
    wanted: list[tuple[str, str, Any]] = [
        ("Microsoft.Storage/storageAccounts", "properties.allowSharedKeyAccess", False),
        ("Microsoft.Storage/storageAccounts", "properties.allowBlobPublicAccess", False),
        ("Microsoft.Storage/storageAccounts", "properties.minimumTlsVersion", "TLS1_2"),
        ("Microsoft.Storage/storageAccounts", "properties.supportsHttpsTrafficOnly", True),
        ("Microsoft.KeyVault/vaults", "properties.enableRbacAuthorization", True),
        ("Microsoft.KeyVault/vaults", "properties.enableSoftDelete", True),
        ("Microsoft.KeyVault/vaults", "properties.enablePurgeProtection", True),
        ("Microsoft.Insights/components", "properties.DisableLocalAuth", True),
        ("Microsoft.OperationalInsights/workspaces", "properties.features.disableLocalAuth", True),
    ]
    return _must_be(files, wanted)


def no_secrets(files: Files) -> list[str]:
    """No function that hands out keys anywhere; no key, connection string or secret in a setting or
    an output. The one exception is a Key Vault secret, which is the place for it."""
    problems = []
    for file in files.values():
        problems += [
            f"{file.name}: {match.group().strip('( ')} hands out keys"
            for match in _HANDS_OUT_KEYS.finditer(file.text)
        ]
        for name, output in file.tree.get("outputs", {}).items():
            problems += [f"{file.name}: output {name} has {key}" for key in _keys(output["value"])]
    for config in resources(files, "Microsoft.Web/sites/config"):
        problems += [
            f"setting {name} has {key}"
            for name, value in at(config, "properties").items()
            for key in _keys(value)
        ]
    for kind in {r["type"] for f in files.values() for r in f.tree.get("resources", {}).values()}:
        if kind != "Microsoft.KeyVault/vaults/secrets":
            problems += [
                f"{kind} is set to {key}"
                for config in resources(files, kind)
                for key in _keys(at(config, "properties"))
            ]
    return sorted(set(problems))


def roles(files: Files) -> list[str]:
    """Roles are given in roles.bicep alone, by their right ids, to an identity, on one resource."""
    problems = [
        f"{file.name}: roles are given in roles.bicep alone"
        for file in files.values()
        for resource in file.tree.get("resources", {}).values()
        if resource["type"] == _ROLE_ASSIGNMENT and file.name != "roles.bicep"
    ]
    named = files["roles.bicep"].tree["variables"]["roleIds"]["value"]
    named = {name.strip("'"): value for name, value in named.items()}
    if named != ROLE_IDS:
        problems.append(f"roles.bicep: the roles and their ids are not the known ones: {named}")
    for assignment in resources(files, _ROLE_ASSIGNMENT):
        if at(assignment, "scope") not in ("account", "vault", "insights"):
            problems.append("roles.bicep: a role is given on more than one resource")
        if at(assignment, "properties.principalType") != "ServicePrincipal":
            problems.append("roles.bicep: principalType is missing, so a first deployment may fail")
    # A bare id elsewhere would be a role (or something else) without its name.
    for file in files.values():
        if file.name != "roles.bicep":
            problems += [f"{file.name}: bare id {t}" for t in texts(file.tree) if _GUID.match(t)]
    return problems


def authentication(files: Files, routes: Sequence[HttpRoute]) -> list[str]:
    """App Service Authentication stands before everything but the app's anonymous routes."""
    [config] = [c for c in resources(files, "Microsoft.Web/sites/config") if at(c, _VALIDATION)]
    wanted = {
        "properties.platform.enabled": True,
        f"{_VALIDATION}.requireAuthentication": True,
        f"{_VALIDATION}.unauthenticatedClientAction": "RedirectToLoginPage",
        "properties.httpSettings.requireHttps": True,
        "properties.login.tokenStore.enabled": False,
        f"{_AAD}.registration.clientSecretSettingName": "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
    }
    problems = [
        f"authentication: {path} is {at(config, path)!r} and must be {value!r}"
        for path, value in wanted.items()
        if at(config, path) != value
    ]
    if not at(config, f"{_AAD}.validation.defaultAuthorizationPolicy.allowedApplications"):
        problems.append("authentication: tokens of any application are taken")
    excluded = files["function_app.bicep"].tree["variables"]["anonymousPaths"]["value"]
    if at(config, f"{_VALIDATION}.excludedPaths") != "anonymousPaths":
        problems.append("authentication: excludedPaths is not anonymousPaths")
    return problems + excluded_paths(excluded, routes)


_VALIDATION = "properties.globalValidation"
_AAD = "properties.identityProviders.azureActiveDirectory"


def excluded_paths(excluded: Sequence[str], routes: Sequence[HttpRoute]) -> list[str]:
    """The excluded paths are the anonymous routes: none missing, none too many, none too wide."""
    problems = []
    used = set()
    for route in routes:
        matching = {path for path in excluded if _covers(path, route.route)}
        used |= matching
        if route.route.startswith(_FOR_ADMINISTRATORS):
            problems += [f"{path} lets anybody into {route.route}" for path in sorted(matching)]
        elif not matching:
            problems.append(f"/{route.route} ({route.function}) is behind the sign-in")
    return problems + [f"{path} is no route of the app" for path in excluded if path not in used]


def _covers(path: str, route: str) -> bool:
    """App Service takes the path alone, or everything below it with /* at its end."""
    if path.endswith("/*"):
        return f"/{route}".lower().startswith(path[:-1].lower())
    return f"/{route}".lower() == path.lower()


def always_ready(files: Files, functions: Sequence[str]) -> list[str]:
    """Whatever is always ready is a function of the app (or the group of the HTTP functions)."""
    groups = files["function_app.bicep"].tree["variables"]["alwaysReadyGroups"]["value"]
    known = {"http", *(f"function:{name}" for name in functions)}
    return [f"{group} is always ready and no function" for group in groups if group not in known]


def parameters(files: Files, folder: Path) -> list[str]:
    """Every parameter of main.bicep is described, and the parameter file names only such ones."""
    declared = files["main.bicep"].tree["parameters"]
    problems = [
        f"main.bicep: {name} has no description"
        for name, parameter in declared.items()
        if "description" not in {decorator["type"] for decorator in parameter["decorators"]}
    ]
    given = json.loads((folder / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    problems += [f"main.parameters.json: {name} is unknown" for name in given.keys() - declared]
    needed = {name for name, parameter in declared.items() if parameter["default"] is None}
    return problems + [f"main.parameters.json: {n} is missing" for n in sorted(needed - set(given))]


def settings_of_the_app(files: Files, read: Sequence[str]) -> list[str]:
    """Every setting that the app cannot do without is set."""
    [config] = [
        c for c in resources(files, "Microsoft.Web/sites/config") if at(c, "name") == "appsettings"
    ]
    given = set(at(config, "properties"))
    return [f"setting {name} is missing" for name in read if name not in given]


def _keys(tree: Any) -> list[str]:
    return sorted({text for text in texts(_values(tree)) if _IS_A_KEY.search(text)})


def _values(tree: Any) -> Any:
    """The tree without the names of settings: a name says nothing about what is in it."""
    if isinstance(tree, dict) and not {"operator", "function"} & set(tree):
        return [_values(value) for value in tree.values()]
    return tree


def _must_be(files: Files, wanted: Sequence[tuple[str, str, Any]]) -> list[str]:
    problems = []
    for kind, path, value in wanted:
        found = resources(files, kind)
        if not found:
            problems.append(f"{kind} is missing")
        problems += [
            f"{kind}: {path} is {at(body(resource), path)!r} and must be {value!r}"
            for resource in found
            if at(body(resource), path) != value
        ]
    return problems
