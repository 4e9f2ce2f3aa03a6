"""Graph's error replies."""

from collections.abc import Mapping
from datetime import UTC, datetime

from infra.local.entra.rendering import dumps


class GraphError(Exception):
    """An error reply: status, code and message."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self, request_id: str, client_request_id: str, now: float) -> bytes:
        """Write the error body."""
        date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        inner = {"date": date, "request-id": request_id, "client-request-id": client_request_id}
        if self.status == 429:
            inner = {"code": "429", "message": "Please retry after", "status": "429", **inner}
        return dumps({"error": {"code": self.code, "message": self.message, "innerError": inner}})


def not_found(entity_id: str) -> GraphError:
    """Say that an object does not exist, or not for this reader yet."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{entity_id}' does not exist or one of its queried reference-property "
        "objects are not present.",
    )


def bad_request(message: str) -> GraphError:
    """Refuse a malformed query or body."""
    return GraphError(400, "Request_BadRequest", message)


def unsupported(message: str) -> GraphError:
    """Refuse a query option that this path does not support."""
    return GraphError(400, "Request_UnsupportedQuery", message)


def denied() -> GraphError:
    """Refuse for a missing permission."""
    return GraphError(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )
