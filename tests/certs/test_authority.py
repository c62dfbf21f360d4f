import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from certs import Authority, CertificateError, Pair
from tests.certs.handshake import handshake


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


def parsed(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["api.localhost"], "api.localhost"),
        (["*.preview.localhost", "api.localhost"], "web--pr-1.preview.localhost"),
        (["127.0.0.1"], "127.0.0.1"),
        (["::1"], "::1"),
        (["localhost"], "localhost"),
        (["API.Localhost"], "api.localhost"),
    ],
)
def test_a_strictly_verifying_client_accepts_a_leaf_for_its_names(
    authority: Authority, tmp_path: Path, names: list[str], asked: str
) -> None:
    handshake(authority, authority.leaf(names), asked, tmp_path)


def test_a_client_refuses_a_leaf_for_another_name(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(authority, authority.leaf(["api.localhost"]), "app.localhost", tmp_path)


def test_a_client_refuses_a_leaf_of_another_authority(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority, Authority.create().leaf(["api.localhost"]), "api.localhost", tmp_path)


def test_a_client_refuses_a_name_outside_the_constraint_even_when_signed(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Authority, "_require_permitted", lambda *_: None)
    forged = authority.leaf(["bank.example"])
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(authority, forged, "bank.example", tmp_path)


@pytest.mark.parametrize("name", ["example.com", "notlocalhost", "localhost.example", "10.0.0.1", "::2", "*.com"])
def test_the_authority_says_which_names_it_may_not_vouch_for(authority: Authority, name: str) -> None:
    with pytest.raises(CertificateError, match="only for localhost"):
        authority.leaf([name])


@pytest.mark.parametrize("name", ["", "a b", "-a.localhost", "a..localhost", "*.*.localhost", "ü.localhost", "a/24"])
def test_what_is_not_a_name_is_refused(authority: Authority, name: str) -> None:
    with pytest.raises(CertificateError, match="neither a DNS name nor an IP address"):
        authority.leaf([name])


def test_a_leaf_without_names_is_refused(authority: Authority) -> None:
    with pytest.raises(CertificateError, match="at least one name"):
        authority.leaf([])


def test_an_authority_for_other_domains_vouches_for_them() -> None:
    authority = Authority.create(["preview.acme.test"])
    names = parsed(authority.leaf(["*.preview.acme.test"])).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["*.preview.acme.test"]
    with pytest.raises(CertificateError):
        authority.leaf(["localhost"])


def test_a_leaf_is_p256_for_servers_only_and_valid_now(authority: Authority) -> None:
    certificate = parsed(authority.leaf(["localhost"]))
    now = dt.datetime.now(dt.UTC)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert certificate.not_valid_before_utc < now < certificate.not_valid_after_utc
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= dt.timedelta(days=398)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_leaf_for_both_sides_may_also_be_shown_by_a_client(authority: Authority) -> None:
    usage = parsed(authority.leaf(["localhost"], client=True)).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert ExtendedKeyUsageOID.CLIENT_AUTH in usage.value


def test_two_leaves_differ_in_key_and_serial_number(authority: Authority) -> None:
    first, second = authority.leaf(["localhost"]), authority.leaf(["localhost"])
    assert first.key != second.key
    assert parsed(first).serial_number != parsed(second).serial_number


def test_addresses_stand_in_the_certificate_as_addresses(authority: Authority) -> None:
    names = parsed(authority.leaf(["127.0.0.1", "localhost"])).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]


def test_a_long_name_and_an_address_stand_beside_each_other(authority: Authority, tmp_path: Path) -> None:
    name = f"{'a' * 60}.{'b' * 60}.localhost"
    pair = authority.leaf(["127.0.0.1", name])
    handshake(authority, pair, name, tmp_path)
    handshake(authority, pair, "127.0.0.1", tmp_path)


def test_an_authority_comes_back_from_its_files(authority: Authority, tmp_path: Path) -> None:
    authority.write(tmp_path / "ca.pem", tmp_path / "ca.key")
    loaded = Authority.load(tmp_path / "ca.pem", tmp_path / "ca.key")
    handshake(authority, loaded.leaf(["localhost"]), "localhost", tmp_path)


def test_loading_refuses_a_key_of_another_authority(authority: Authority, tmp_path: Path) -> None:
    authority.write(tmp_path / "ca.pem", tmp_path / "ca.key")
    Authority.create().write(tmp_path / "other.pem", tmp_path / "ca.key")
    with pytest.raises(CertificateError, match="is not the key of"):
        Authority.load(tmp_path / "ca.pem", tmp_path / "ca.key")


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"])
def test_loading_says_which_files_it_cannot_use(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(CertificateError, match=r"cannot load the authority from .*ca\.pem"):
        Authority.load(tmp_path / "ca.pem", tmp_path / "ca.key")


def test_no_representation_shows_a_key(authority: Authority) -> None:
    pair = authority.leaf(["localhost"])
    assert "PRIVATE" not in repr(pair)
    assert "key" not in repr(authority)
