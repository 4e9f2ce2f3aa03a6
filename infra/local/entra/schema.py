"""Properties of users and groups: what exists, what a plain GET returns, what is a collection."""

from typing import Final

USER_DEFAULT: Final = (
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
)
USER_PROPERTIES: Final = (
    *USER_DEFAULT,
    "accountEnabled",
    "city",
    "companyName",
    "country",
    "createdDateTime",
    "deletedDateTime",
    "department",
    "employeeHireDate",
    "employeeId",
    "employeeType",
    "externalUserState",
    "faxNumber",
    "mailNickname",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesExtensionAttributes",
    "onPremisesImmutableId",
    "onPremisesLastSyncDateTime",
    "onPremisesSamAccountName",
    "onPremisesSyncEnabled",
    "onPremisesUserPrincipalName",
    "otherMails",
    "postalCode",
    "proxyAddresses",
    "securityIdentifier",
    "state",
    "streetAddress",
    "usageLocation",
    "userType",
)
# Kept outside the directory: only on a single user, and never seen by delta.
USER_SINGLE_ONLY: Final = frozenset(
    [
        "aboutMe",
        "birthday",
        "hireDate",
        "interests",
        "mySite",
        "pastProjects",
        "preferredName",
        "responsibilities",
        "schools",
        "skills",
        "mailboxSettings",
    ]
)
GROUP_PROPERTIES: Final = (
    "id",
    "displayName",
    "description",
    "mail",
    "mailNickname",
    "securityEnabled",
    "mailEnabled",
    "groupTypes",
    "createdDateTime",
    "deletedDateTime",
    "membershipRule",
    "membershipRuleProcessingState",
    "onPremisesSyncEnabled",
    "proxyAddresses",
    "visibility",
)
OTHER_PROPERTIES: Final = ("id", "displayName", "mail")
COLLECTIONS: Final = frozenset({"businessPhones", "otherMails", "proxyAddresses", "groupTypes"})

ALL_PROPERTIES: Final = {
    "user": USER_PROPERTIES,
    "group": GROUP_PROPERTIES,
    "other": OTHER_PROPERTIES,
}
DEFAULT_PROPERTIES: Final = {
    "user": USER_DEFAULT,
    "group": GROUP_PROPERTIES,
    "other": OTHER_PROPERTIES,
}
RELATIONSHIPS: Final = {"user": frozenset({"manager"}), "group": frozenset({"members", "owners"})}

GROUP_KINDS: Final = {
    "security": {"securityEnabled": True, "mailEnabled": False, "groupTypes": []},
    "m365": {"securityEnabled": False, "mailEnabled": True, "groupTypes": ["Unified"]},
    "mail_security": {"securityEnabled": True, "mailEnabled": True, "groupTypes": []},
    "distribution": {"securityEnabled": False, "mailEnabled": True, "groupTypes": []},
}
