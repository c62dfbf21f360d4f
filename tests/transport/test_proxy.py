"""Forward proxies: when one is used, what it is asked, and what its answers mean."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from relay.errors import ConfigurationError
from relay.transport import ForwardProxy, TlsStream, connect_tls, listen, parse_proxy, proxy_for, serve_tls
from relay.transport.proxy import ANSWER_HEAD_BYTES
from tests.support.forward_proxy import ForwardProxyServer, serve_forward_proxy
from tests.transport.pair import SERVER_NAME, authority, client_context, server_context

PROXY = {"HTTPS_PROXY": "http://proxy.corp:3128"}


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://proxy.corp:3128", "proxy.corp", 3128),
        ("proxy.corp:3128", "proxy.corp", 3128),
        ("http://proxy.corp", "proxy.corp", 80),
        ("http://proxy.corp/", "proxy.corp", 80),
        ("http://[2001:db8::1]:8080", "2001:db8::1", 8080),
    ],
)
def test_a_proxy_is_read_with_or_without_scheme_and_port(url: str, host: str, port: int) -> None:
    assert parse_proxy(url) == ForwardProxy(host=host, port=port)


def test_a_proxy_over_tls_has_the_port_of_https_and_a_context_that_checks() -> None:
    proxy = parse_proxy("https://proxy.corp")
    assert proxy.port == 443
    assert proxy.context is not None
    assert proxy.context.verify_mode is ssl.CERT_REQUIRED
    assert proxy.context.check_hostname


def test_credentials_are_decoded_and_shown_nowhere() -> None:
    proxy = parse_proxy("http://agent:p%40ss%3Aword@proxy.corp:3128")
    assert proxy.authorization == b"Basic YWdlbnQ6cEBzczp3b3Jk"  # agent:p@ss:word
    assert "YWdlbnQ" not in repr(proxy)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("socks5://user:hunter2@proxy.corp:1080", "only http:// and https://"),
        ("http://user:hunter2@proxy.corp:99999", "must be http://"),
        ("http://user:hunter2@proxy.corp:port", "must be http://"),
        ("http://user:hunter2/@proxy.corp", "must be http://"),
        ("http://user:hunter2#@proxy.corp", "must be http://"),
        ("http://user:hunter2@proxy.corp/path", "must be http://"),
        ("http://user:hunter2@proxy.corp?query", "must be http://"),
        ("http://user:hunter2@", "must be http://"),
        ("http://user:hunter2@[::1", "must be http://"),
        ("http://user:hunter2@pro\u2100xy.corp", "must be http://"),
    ],
)
def test_what_is_no_proxy_is_refused_without_its_password(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        parse_proxy(url, source="https_proxy")
    assert "https_proxy" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("exceptions", "host", "direct"),
    [
        ("", "relay.example.com", False),
        ("*", "relay.example.com", True),
        ("relay.example.com", "relay.example.com", True),
        ("RELAY.example.com", "relay.Example.com.", True),
        ("example.com", "relay.example.com", True),
        (".example.com", "relay.example.com", True),
        ("*.example.com", "relay.example.com", True),
        (".example.com", "example.com", True),
        ("ample.com", "relay.example.com", False),
        ("other.com, relay.example.com ,", "relay.example.com", True),
        ("relay.example.com:443", "relay.example.com", True),
        ("relay.example.com:8443", "relay.example.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "relay.example.com", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("2001:db8::/32", "2001:db8::7", True),
        ("[2001:db8::7]:443", "2001:db8::7", True),
        ("[2001:db8::7]:80", "2001:db8::7", False),
        ("2001:db8::7", "2001:db8::8", False),
    ],
)
def test_exceptions_are_names_subdomains_addresses_networks_and_ports(
    exceptions: str, host: str, *, direct: bool
) -> None:
    found = proxy_for(host, 443, {**PROXY, "NO_PROXY": exceptions})
    assert (found is None) == direct


@pytest.mark.parametrize(
    "host", ["localhost", "tunnel.localhost", "Tunnel.LOCALHOST.", "127.0.0.1", "127.8.9.1", "::1"]
)
def test_this_machine_is_always_reached_directly(host: str) -> None:
    assert proxy_for(host, 443, PROXY) is None


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({}, None),
        ({"HTTPS_PROXY": " "}, None),
        ({"HTTP_PROXY": "http://plain:1"}, None),
        ({"ALL_PROXY": "http://all:1"}, "all"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://https:1"}, "https"),
        ({"https_proxy": "http://lower:1", "HTTPS_PROXY": "http://upper:1"}, "lower"),
        ({"https_proxy": "http://lower:1", "no_proxy": "other.com", "NO_PROXY": "*"}, "lower"),
    ],
)
def test_the_environment_names_the_proxy(environment: dict[str, str], host: str | None) -> None:
    found = proxy_for("relay.example.com", 443, environment)
    assert (None if found is None else found.host) == host


def test_a_proxy_that_cannot_be_read_is_named_by_its_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"^all_proxy: "):
        proxy_for("relay.example.com", 443, {"all_proxy": "ftp://proxy.corp"})


async def echo(stream: TlsStream) -> None:
    while data := await stream.receive_some():
        await stream.send_all(data)


@asynccontextmanager
async def serving(proxy: ForwardProxyServer) -> AsyncIterator[int]:
    """The port of an echo server over TLS, beside a running proxy."""
    listeners = listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_tls, listeners, server_context, echo)
        await nursery.start(serve_forward_proxy, proxy)
        yield listeners[0].getsockname()[1]
        nursery.cancel_scope.cancel()


async def connect(proxy: ForwardProxy, port: int, seconds: float = 10) -> TlsStream:
    return await connect_tls(SERVER_NAME, port, context=client_context(), forward_proxy=proxy, timeout_seconds=seconds)


def over_tls() -> tuple[ForwardProxyServer, ssl.SSLContext]:
    """A proxy that speaks TLS, and a context that trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("127.0.0.1").configure_cert(server)
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return ForwardProxyServer(context=server, credentials="agent:secret"), context


async def test_tls_runs_inside_tls_to_the_proxy_both_ways_and_in_bulk() -> None:
    server, context = over_tls()
    async with serving(server) as port:
        stream = await connect(replace(parse_proxy(server.url), context=context), port)
        assert server.asked == [f"{SERVER_NAME}:{port}"]
        data = bytes(range(256)) * 4096
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, data)
            received = b""
            while len(received) < len(data):
                received += await stream.receive_some()
        assert received == data
        await stream.aclose()


async def test_a_proxy_over_tls_must_be_who_it_is() -> None:
    server, _ = over_tls()
    async with serving(server) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(replace(parse_proxy(server.url), context=ssl.create_default_context()), port)


async def test_closing_a_connection_through_a_proxy_over_tls_closes_it_everywhere() -> None:
    closed = trio.Event()
    server, context = over_tls()

    async def wait_end(stream: TlsStream) -> None:
        assert await stream.receive_some() == b""
        closed.set()

    listeners = listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_tls, listeners, server_context, wait_end)
        await nursery.start(serve_forward_proxy, server)
        stream = await connect(replace(parse_proxy(server.url), context=context), listeners[0].getsockname()[1])
        await stream.aclose()
        with trio.fail_after(10):
            await closed.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("status", [b"403 Forbidden", b"502 Bad Gateway", b"302 Found", b"500"])
async def test_a_refusal_names_proxy_target_and_status(status: bytes) -> None:
    server = ForwardProxyServer(status=status)
    async with serving(server) as port:
        proxy = parse_proxy(server.url)
        with pytest.raises(ConnectionError, match=f"127.0.0.1:{server.port} does not connect to .*:{port}: ") as caught:
            await connect(proxy, port)
        assert str(caught.value).endswith(status.decode())


@asynccontextmanager
async def answering(answer: bytes, *, stay: bool = False) -> AsyncIterator[ForwardProxy]:
    """A "proxy" that answers anything with `answer`, and then stays or closes."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        if stay:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        yield ForwardProxy(host="127.0.0.1", port=listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/2 200\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 3 * ANSWER_HEAD_BYTES, "too long an answer"),
        (b"HTTP/1.1 407 Who\r\n\r\n", "407 Who: it wants other credentials"),
        (b"HTTP/1.0 404\r\n\r\n", "404$"),
    ],
)
async def test_an_answer_that_is_none_is_said_to_be_none(answer: bytes, problem: str) -> None:
    async with answering(answer) as proxy:
        with pytest.raises(ConnectionError, match=problem):
            await connect(proxy, 443)


async def test_a_proxy_that_does_not_answer_is_given_up() -> None:
    async with answering(b"", stay=True) as proxy:
        with pytest.raises(TimeoutError, match="did not answer within"):
            await connect(proxy, 443, 0.05)
