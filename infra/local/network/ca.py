"""A throw-away certificate authority, and one certificate for every name of the local network.

Made anew for each world in its temporary directory, valid for a few days, never installed anywhere:
only processes that are given `REQUESTS_CA_BUNDLE` believe it, and they believe nothing else.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVED_NAMES = (
    "login.microsoftonline.com",
    "graph.microsoft.com",
    "*.vault.azure.net",
    "api.bms.kaseya.com",
    "bms.kaseya.com",
    "api.itglue.com",
    "api.eu.itglue.com",
    "api.au.itglue.com",
    "*.table.core.windows.net",
    "*.queue.core.windows.net",
    "*.blob.core.windows.net",
    "localhost",
)
SERVED_ADDRESSES = ("127.0.0.1",)
_VALID_DAYS = 7


@dataclass(frozen=True)
class Certificates:
    """PEM files: the bundle to trust, and the certificate (with its CA) and key to serve with."""

    bundle: Path
    certificate: Path
    key: Path


def make_certificates(directory: Path) -> Certificates:
    """Write a new CA's bundle and one certificate for all names into the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("Local world, throw-away CA")
    ca_identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    # Python 3.13 verifies with VERIFY_X509_STRICT: key identifiers and key usage must be there.
    ca = (
        _dated(x509.CertificateBuilder(), now)
        .subject_name(ca_name)
        .issuer_name(ca_name)
        .public_key(ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(ca_identifier, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in SERVED_NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in SERVED_ADDRESSES]
    leaf = (
        _dated(x509.CertificateBuilder(), now)
        .subject_name(_name("Local world"))
        .issuer_name(ca_name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_identifier),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    made = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    ca_pem = ca.public_bytes(serialization.Encoding.PEM)
    made.bundle.write_bytes(ca_pem)
    made.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + ca_pem)
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _dated(builder: x509.CertificateBuilder, now: datetime.datetime) -> x509.CertificateBuilder:
    # From an hour ago, for machines whose clock was set back since.
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
