"""The agent's own way to the API server: whose certificate it takes, which token it sends."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from certs import Authority
from client.kubernetes.api import KubeApi
from relay.kubernetes import UnauthorizedError, UnavailableError
from tests.client.kubernetes.server import TOKEN, ApiServer, Connection, Request, by_default, json_answer


def tokens(server: ApiServer) -> list[str]:
    return [request.authorization.removeprefix("Bearer ") for request in server.requests]


async def accept_any(connection: Connection, request: Request) -> None:
    await connection.send(json_answer({"gitVersion": "v1.33.1"}))


async def test_the_version_is_asked_with_the_token(server: ApiServer) -> None:
    assert await KubeApi(server.cluster).version() == "v1.33.1"
    assert tokens(server) == [TOKEN]


def write_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def rename_over(path: Path, text: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(text)
    other.rename(path)


def swap_data_link(path: Path, text: str) -> None:
    """As the kubelet does: the file is a link into `..data`, which is a link to a folder that is swapped."""
    folder = path.parent / f"..{text}"
    folder.mkdir()
    (folder / path.name).write_text(text)
    link = path.parent / "..data_tmp"
    link.symlink_to(folder.name)
    link.rename(path.parent / "..data")
    if not path.is_symlink():
        path.unlink()
        path.symlink_to(Path("..data") / path.name)


@pytest.mark.parametrize("write", [write_in_place, rename_over, swap_data_link])
async def test_a_rotated_token_is_used_from_the_next_request_on(server: ApiServer, write: object) -> None:
    assert callable(write)
    server.handler = accept_any
    api = KubeApi(server.cluster)
    await api.version()
    for token in ("second-token", "third-token"):
        write(server.cluster.token_file, token)
        await api.version()
    assert tokens(server) == [TOKEN, "second-token", "third-token"]


async def test_after_401_the_token_is_read_again_and_a_new_one_tried_once(server: ApiServer) -> None:
    async def rotate(connection: Connection, request: Request) -> None:
        # The kubelet writes the new token while a request with the old one is on its way.
        server.cluster.token_file.write_text("newest")
        if request.authorization == "Bearer newest":
            await accept_any(connection, request)
        else:
            await connection.send(json_answer({"kind": "Status", "code": 401, "message": "expired"}, 401))

    server.handler = rotate
    assert await KubeApi(server.cluster).version() == "v1.33.1"
    assert tokens(server) == [TOKEN, "newest"]


async def test_a_token_that_stays_refused_is_not_tried_for_ever(server: ApiServer) -> None:
    async def refuse(connection: Connection, request: Request) -> None:
        server.cluster.token_file.write_text(f"token-{len(server.requests)}")
        await connection.send(json_answer({"kind": "Status", "code": 401, "message": "expired"}, 401))

    server.handler = refuse
    with pytest.raises(UnauthorizedError, match="expired"):
        await KubeApi(server.cluster).version()
    assert len(server.requests) == 2


async def test_an_unchanged_token_that_is_refused_is_tried_once(server: ApiServer) -> None:
    server.cluster.token_file.write_text("wrong")
    with pytest.raises(UnauthorizedError):
        await KubeApi(server.cluster).version()
    assert tokens(server) == ["wrong"]


async def test_a_server_of_another_ca_gets_nothing(server: ApiServer) -> None:
    server.cluster.ca_file.write_bytes(Authority.create().pem)
    with pytest.raises(UnavailableError, match="certificate is not trusted") as caught:
        await KubeApi(server.cluster).version()
    await server.until(lambda: server.handshakes_failed == 1)
    assert server.connections == []
    assert TOKEN not in str(caught.value)


async def test_a_server_of_another_name_gets_nothing(server: ApiServer) -> None:
    other = server.authority.leaf(["other.example"])
    other.write(server.folder / "server.pem", server.folder / "server.key")
    server._context.load_cert_chain(server.folder / "server.pem", server.folder / "server.key")
    with pytest.raises(UnavailableError, match="not trusted for 127"):
        await KubeApi(server.cluster).version()
    await server.until(lambda: server.handshakes_failed == 1)
    assert server.connections == []


async def test_the_systems_roots_do_not_count(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the operating system trusts may vouch for web sites, not for the API server.
    monkeypatch.setenv("SSL_CERT_FILE", str(server.folder / "system.pem"))
    (server.folder / "system.pem").write_bytes(server.authority.pem)
    assert ssl.create_default_context().get_ca_certs()
    server.cluster.ca_file.write_bytes(Authority.create().pem)
    with pytest.raises(UnavailableError, match="not trusted"):
        await KubeApi(server.cluster).version()


async def test_a_new_ca_is_used_without_a_restart(server: ApiServer) -> None:
    good = server.cluster.ca_file.read_bytes()
    server.cluster.ca_file.write_bytes(Authority.create().pem)
    api = KubeApi(server.cluster)
    with pytest.raises(UnavailableError):
        await api.version()
    server.cluster.ca_file.write_bytes(good)
    assert await api.version() == "v1.33.1"


async def test_plain_tcp_gets_no_token(server: ApiServer, nursery: trio.Nursery) -> None:
    received = b""

    async def listen(stream: trio.SocketStream) -> None:
        nonlocal received
        received += await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await stream.aclose()

    listeners = await nursery.start(trio.serve_tcp, listen, 0)
    cluster = replace(server.cluster, port=listeners[0].socket.getsockname()[1])
    with pytest.raises(UnavailableError):
        await KubeApi(cluster).version()
    assert received
    assert TOKEN.encode() not in received


@pytest.mark.parametrize("content", ["", "two words", "line\nbreak", "caf\u00e9", "x" * 20_000])
async def test_what_is_no_token_is_not_sent_and_not_quoted(server: ApiServer, content: str) -> None:
    server.cluster.token_file.write_text(content)
    with pytest.raises(UnavailableError) as caught:
        await KubeApi(server.cluster).version()
    assert server.requests == []
    assert not content or content not in str(caught.value)


async def test_white_space_around_the_token_is_not_part_of_it(server: ApiServer) -> None:
    server.cluster.token_file.write_text(f"  {TOKEN}\n")
    assert await KubeApi(server.cluster).version() == "v1.33.1"


async def test_a_server_that_is_not_there_is_an_error_with_a_sentence(server: ApiServer) -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(UnavailableError, match="cannot reach the API server"):
        await KubeApi(replace(server.cluster, port=port)).version()


async def test_a_silent_server_is_given_up(server: ApiServer, autojump_clock: trio.testing.MockClock) -> None:
    # Virtual time would pass while the kernel carries the handshake: the clock jumps only once the request is there.
    autojump_clock.autojump_threshold = 0.2

    async def never(connection: Connection, request: Request) -> None:
        await trio.sleep_forever()

    server.handler = never
    with pytest.raises(UnavailableError, match="did not answer within 65 s"):
        await KubeApi(server.cluster).version()
    server.handler = by_default


def test_no_token_in_any_representation(tmp_path: Path) -> None:
    server = ApiServer(tmp_path / "api")
    api = KubeApi(server.cluster)
    assert TOKEN not in repr(api._files) + repr(server.cluster) + repr(vars(api))
