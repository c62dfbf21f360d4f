"""A certificate authority for development and tests: ECDSA P-256, held to the names it was made for."""

import datetime as dt
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.files import PRIVATE, PUBLIC, write_file

AUTHORITY_DAYS = 3650
"""Ten years: a development root that runs out in the middle of a project only teaches people to click warnings away."""
LEAF_DAYS = 397
"""Browsers refuse leaves that are valid for more than 398 days (CA/Browser Forum baseline requirements, 6.3.2)."""
CLOCK_SKEW = dt.timedelta(hours=1)
"""Certificates start this much in the past: containers and virtual machines wake up with clocks that are behind."""
LEAF_NAME = "Signadot development certificate"
"""Subject of every leaf. Names stand in the SAN alone (RFC 9525, 2): OpenSSL would check an address or a long name in
the subject against the DNS constraints of the root, and refuse it."""

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_DNS_NAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*\Z", re.ASCII)
_LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")


class CertificateError(Exception):
    """A certificate, key or name cannot be used; the message is one sentence fit to be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate with its key, both PEM."""

    certificate: bytes
    """The leaf alone: its issuer is the root that clients are given."""
    key: bytes = field(repr=False)
    """PKCS #8, not encrypted."""

    def write(self, certificate: Path, key: Path) -> None:
        """Writes both files, the key first, so a reader that notices the certificate finds its key already there."""
        write_file(key, self.key, mode=PRIVATE)
        write_file(certificate, self.certificate, mode=PUBLIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A root certificate and its key; `create` a new one or `load` one that was written before."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, domains: Sequence[str] = ("localhost",), *, common_name: str = "Signadot development CA") -> Self:
        """A new root that can vouch for `domains`, names below them and loopback addresses, and for nothing else.

        The constraint (RFC 5280, 4.2.1.10) is what makes it harmless to trust: whoever steals the key cannot use it
        against any other site its owner visits.

        Raises:
            CertificateError: a domain is not a DNS name.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = _common_name(common_name)
        subject_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _builder(name, name, key.public_key(), days=AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(_constraints(domains), critical=True)
            .add_extension(subject_id, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_id),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        return cls(certificate=certificate, key=key)

    @classmethod
    def load(cls, certificate: Path, key: Path) -> Self:
        """The authority that `write` wrote.

        Raises:
            CertificateError: a file is missing or unreadable, or they do not belong together.
        """
        try:
            root = x509.load_pem_x509_certificate(certificate.read_bytes())
            private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise CertificateError(f"cannot load the authority from {certificate} and {key}: {error}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != root.public_key():
            raise CertificateError(f"{key} is not the key of {certificate}")
        return cls(certificate=root, key=private)

    @property
    def pem(self) -> bytes:
        """The root certificate, PEM: what clients are given to trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, certificate: Path, key: Path) -> None:
        """Writes root and key (mode 0600), each in one step."""
        Pair(certificate=self.pem, key=_key_pem(self.key)).write(certificate, key)

    def leaf(self, names: Sequence[str], *, days: int = LEAF_DAYS, client: bool = False) -> Pair:
        """A certificate for `names` (DNS names, `*.` wildcards, IP addresses) with a key of its own.

        `client` allows it to be shown by the dialling side as well.

        Raises:
            CertificateError: there are no names, one is neither a DNS name nor an address, or this authority may not
                vouch for it.
        """
        if not names:
            raise CertificateError("a leaf certificate needs at least one name")
        general_names = [_general_name(name) for name in names]
        for general_name in general_names:
            self._require_permitted(general_name)
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
        authority_id = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        certificate = (
            _builder(_common_name(LEAF_NAME), self.certificate.subject, key.public_key(), days=days)
            .add_extension(x509.SubjectAlternativeName(general_names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        return Pair(certificate=certificate.public_bytes(serialization.Encoding.PEM), key=_key_pem(key))

    def _require_permitted(self, name: x509.GeneralName) -> None:
        # A name outside the constraints would make a certificate that every client refuses, and say little about why.
        try:
            constraints = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return
        permitted = constraints.permitted_subtrees or []
        if permitted and not any(_covers(subtree, name) for subtree in permitted):
            allowed = ", ".join(str(subtree.value) for subtree in permitted)
            raise CertificateError(f"this authority may not vouch for {name.value}, only for {allowed}")


def _covers(subtree: x509.GeneralName, name: x509.GeneralName) -> bool:
    network, address = subtree.value, name.value
    if isinstance(network, IPv4Network | IPv6Network):
        return isinstance(address, IPv4Address | IPv6Address) and address in network
    if isinstance(subtree, x509.DNSName) and isinstance(name, x509.DNSName):
        return f".{name.value.removeprefix('*.')}".endswith(f".{subtree.value}")
    return False


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, *, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=days) - CLOCK_SKEW)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _constraints(domains: Sequence[str]) -> x509.NameConstraints:
    names: list[x509.GeneralName] = [x509.DNSName(_dns_name(domain)) for domain in domains]
    networks = [x509.IPAddress(ipaddress.ip_network(network)) for network in _LOOPBACK_NETWORKS]
    return x509.NameConstraints(permitted_subtrees=[*names, *networks], excluded_subtrees=None)


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(_dns_name(name))


def _dns_name(name: str) -> str:
    lower = name.lower()
    if _DNS_NAME.match(lower) is None:
        raise CertificateError(f"{name!r} is neither a DNS name nor an IP address")
    return lower


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
