"""The Microsoft Graph permissions that an app registration needs (R28)."""

from __future__ import annotations

from typing import Final

# Written the same way each time: MSAL finds cached tokens by the literal names.
DELEGATED: Final = ("Directory.Read.All", "Group.Read.All", "User.Read", "User.Read.All")
APPLICATION: Final = ("Directory.Read.All", "Group.Read.All", "User.Read.All")
