"""What Azure Storage says when it refuses: XML from queues and blobs, JSON from tables."""

from __future__ import annotations

import json

_CODES = {
    401: "InvalidAuthenticationInfo",
    403: "AuthorizationFailure",
    408: "OperationTimedOut",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServerBusy",
    504: "OperationTimedOut",
}
_WORDS = {
    401: "Server failed to authenticate the request. Please refer to the information in the "
    "www-authenticate header.",
    500: "The server encountered an internal error. Please retry the request.",
    503: "The server is busy.",
}


def refusal(service: str, status: int, code: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of an error answer, as the service writes them."""
    code = code or _CODES.get(status, "InternalError")
    words = _WORDS.get(status, "The request was refused on demand.")
    headers = {"x-ms-error-code": code, "x-ms-version": "2019-02-02"}
    if status == 401:
        headers["WWW-Authenticate"] = (
            "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize "
            "resource_id=https://storage.azure.com"
        )
    if service == "table":
        body = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": words}}}
        headers["Content-Type"] = "application/json;odata=minimalmetadata;charset=utf-8"
        return headers, json.dumps(body).encode()
    headers["Content-Type"] = "application/xml"
    text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code>'
    return headers, f"{text}<Message>{words}</Message></Error>".encode()
