"""The errors of Key Vault, in its own shape and as far as known in its own words."""

from __future__ import annotations

from typing import Any


class VaultError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str, inner: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner

    def body(self) -> dict[str, Any]:
        """The JSON that the service answers with."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.inner is not None:
            error["innererror"] = {"code": self.inner}
        return {"error": error}


def not_found(name: str) -> VaultError:
    return VaultError(
        404,
        "SecretNotFound",
        f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted "
        "this secret you may be able to recover it using the correct recovery command. For help "
        "resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
    )


def deleted_not_found(name: str) -> VaultError:
    return VaultError(404, "SecretNotFound", f"Deleted Secret not found: {name}")


def disabled() -> VaultError:
    return VaultError(
        403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled"
    )


def deleted_but_recoverable(name: str) -> VaultError:
    return VaultError(
        409,
        "Conflict",
        f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be "
        "reused; in this state, the secret can only be recovered or purged.",
        "ObjectIsDeletedButRecoverable",
    )


def being_deleted(name: str) -> VaultError:
    return VaultError(
        409, "Conflict", f"Secret {name} is currently being deleted.", "ObjectIsBeingDeleted"
    )


def being_recovered(name: str) -> VaultError:
    return VaultError(
        409, "Conflict", f"Secret {name} is currently being recovered.", "ObjectIsBeingRecovered"
    )


def bad_parameter(message: str) -> VaultError:
    return VaultError(400, "BadParameter", message)


def forbidden_by_rbac(action: str) -> VaultError:
    return VaultError(
        403,
        "Forbidden",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny "
        "assignments or role definitions were changed recently, please observe propagation time."
        f"\r\nAction: '{action}'\r\nAssignment: (not found)",
        "ForbiddenByRbac",
    )


def throttled() -> VaultError:
    return VaultError(
        429,
        "Throttled",
        "Request was not processed because too many requests were received. "
        "Reason: VaultRequestTypeLimitReached",
    )


def of_status(status: int) -> VaultError:
    """An error for a fault on demand."""
    if status == 429:
        return throttled()
    if status == 403:
        return forbidden_by_rbac("Microsoft.KeyVault/vaults/secrets/*")
    if status == 503:
        return VaultError(503, "ServiceUnavailable", "The service is temporarily unavailable.")
    return VaultError(status, "InternalServerError", "An unexpected error occurred.")
