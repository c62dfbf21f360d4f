import os
import ssl
from pathlib import Path

import pytest

from certs import HTTP_ALPN, TUNNEL_ALPN, Authority, CertificateError, ReloadingContext, server_context
from tests.certs.handshake import client_context, shake


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


class Files:
    """A certificate and a key in a folder, and a context that follows them."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        self.authority = authority
        self.certificate = folder / "server.pem"
        self.key = folder / "server.key"
        self.rotate()
        self.context = ReloadingContext(self.certificate, self.key)

    def rotate(self, name: str = "localhost") -> None:
        self.authority.leaf([name]).write(self.certificate, self.key)

    def serial_number(self) -> str:
        near, _ = shake(client_context(self.authority), self.context.context(), "localhost")
        certificate = near.getpeercert()
        assert certificate is not None
        number = certificate["serialNumber"]
        assert isinstance(number, str)
        return number


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Files:
    return Files(authority, tmp_path)


def test_unchanged_files_change_nothing(files: Files) -> None:
    before = files.context.context()
    assert not files.context.refresh()
    assert files.context.context() is before
    assert files.context.problem is None


def test_a_rotated_pair_is_used_for_new_connections(files: Files) -> None:
    before = files.serial_number()
    files.rotate()
    assert files.serial_number() == before
    assert files.context.refresh()
    assert files.serial_number() != before
    assert not files.context.refresh()


def test_a_connection_made_before_a_rotation_goes_on(files: Files) -> None:
    near, far = shake(client_context(files.authority), files.context.context(), "localhost")
    files.rotate()
    assert files.context.refresh()
    assert near.write(b"still here") == 10
    # The memory between the two is shared, so what one wrote the other reads.
    assert far.read(100) == b"still here"


def test_a_pair_written_in_place_is_noticed(files: Files) -> None:
    before = files.serial_number()
    pair = files.authority.leaf(["localhost"])
    files.key.write_bytes(pair.key)
    files.certificate.write_bytes(pair.certificate)
    assert files.context.refresh()
    assert files.serial_number() != before


def test_the_swap_of_a_symbolic_link_is_noticed(authority: Authority, tmp_path: Path) -> None:
    for version in ("one", "two"):
        folder = tmp_path / version
        folder.mkdir()
        authority.leaf(["localhost"]).write(folder / "tls.crt", folder / "tls.key")
    data = tmp_path / "..data"
    data.symlink_to("one")
    context = ReloadingContext(data / "tls.crt", data / "tls.key")
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").replace(data)
    assert context.refresh()


def test_a_certificate_without_its_key_keeps_the_old_pair_until_the_key_arrives(files: Files) -> None:
    before = files.serial_number()
    pair = files.authority.leaf(["localhost"])
    files.certificate.write_bytes(pair.certificate)
    assert not files.context.refresh()
    problem = files.context.problem
    assert problem is not None
    assert "is not the key of" in problem
    assert "stays in use" in problem
    assert files.serial_number() == before
    files.key.write_bytes(pair.key)
    assert files.context.refresh()
    assert files.context.problem is None
    assert files.serial_number() != before


@pytest.mark.parametrize("broken", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_broken_certificate_keeps_the_old_one(files: Files, broken: bytes) -> None:
    before = files.serial_number()
    files.certificate.write_bytes(broken)
    assert not files.context.refresh()
    assert files.context.problem is not None
    assert files.serial_number() == before


def test_missing_files_keep_the_old_pair_and_are_named(files: Files) -> None:
    files.key.unlink()
    assert not files.context.refresh()
    assert files.context.problem is not None
    assert f"cannot read {files.key}: no such file" in files.context.problem


def test_there_must_be_a_good_pair_to_start_with(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="no such file"):
        ReloadingContext(tmp_path / "server.pem", tmp_path / "server.key")


def test_an_encrypted_key_is_an_error_and_no_question_on_the_terminal(files: Files) -> None:
    files.key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(CertificateError, match="cannot use the certificate"):
        server_context(files.certificate, files.key)


def test_the_expiry_is_that_of_the_certificate_in_use(files: Files) -> None:
    before = files.context.expires_at
    files.authority.leaf(["localhost"], days=3).write(files.certificate, files.key)
    files.context.refresh()
    assert files.context.expires_at < before


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([TUNNEL_ALPN], TUNNEL_ALPN),
        ([HTTP_ALPN], HTTP_ALPN),
        ([HTTP_ALPN, TUNNEL_ALPN], TUNNEL_ALPN),
        (["h2"], None),
        ([], None),
    ],
)
def test_tunnels_and_visitors_are_told_apart_by_alpn(files: Files, offered: list[str], chosen: str | None) -> None:
    near, far = shake(client_context(files.authority, offered), files.context.context(), "localhost")
    assert near.selected_alpn_protocol() == chosen
    assert far.selected_alpn_protocol() == chosen


@pytest.mark.parametrize(("asked", "recorded"), [("LocalHost", "localhost"), (None, None)])
def test_the_name_a_client_asked_for_is_kept_with_its_connection(
    files: Files, asked: str | None, recorded: str | None
) -> None:
    client = client_context(files.authority)
    client.check_hostname = False
    _, far = shake(client, files.context.context(), asked)
    assert far.server_name == recorded  # type: ignore[attr-defined]


def test_old_protocol_versions_are_refused(files: Files) -> None:
    client = client_context(files.authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        shake(client, files.context.context(), "localhost")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_without_permission_is_named(files: Files) -> None:
    files.key.chmod(0)
    with pytest.raises(CertificateError, match="permission denied"):
        server_context(files.certificate, files.key)
