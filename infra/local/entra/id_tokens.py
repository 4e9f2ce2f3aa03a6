"""ID tokens, signed with a key made when the process starts to need one."""

import base64
import functools
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_KEY_ID = "entra-stand-in-1"


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(claims: dict[str, Any]) -> str:
    """Return the claims as an RS256 JWT."""
    header = {"typ": "JWT", "alg": "RS256", "kid": _KEY_ID}
    plain = f"{_part(header)}.{_part(claims)}"
    signature = _key().sign(plain.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{plain}.{base64url(signature)}"


def key_set(issuer: str) -> dict[str, Any]:
    """Return the public key as a JSON web key set."""
    numbers = _key().public_key().public_numbers()
    return {
        "keys": [
            {
                "kty": "RSA",
                "use": "sig",
                "kid": _KEY_ID,
                "alg": "RS256",
                "n": base64url(numbers.n.to_bytes(256, "big")),
                "e": base64url(numbers.e.to_bytes(3, "big")),
                "issuer": issuer,
            }
        ]
    }


def base64url(data: bytes) -> str:
    """Write bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _part(value: dict[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())
