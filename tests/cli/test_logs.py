import pytest

from client.cli.logs import neutral, seconds_of
from relay.errors import ConfigurationError
from tests.cli.server import Server

LOG = b"web-1/web \x1b[31mred\n# web-2/web is waiting: ImagePullBackOff\nweb-1/web \xff\n"


async def test_lines_go_to_standard_output_as_they_are_and_notes_to_standard_error(server: Server) -> None:
    server.answer = (
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (
            len(LOG),
            LOG,
        )
    )
    arguments = ("--pod", "web-1", "-c", "web", "-f", "--since", "10m", "--tail", "5")
    result = await server.run("logs", "shop", *arguments)
    assert result.stdout == b"web-1/web \x1b[31mred\nweb-1/web \xff\n"
    assert result.stderr == b"signadot: web-2/web is waiting: ImagePullBackOff\n"
    query = "pod=web-1&container=web&follow=true&sinceSeconds=600&tailLines=5"
    assert server.heads[-1].target == f"/api/v2/orgs/acme/workspaces/shop/logs?{query}".encode()


async def test_a_refusal_is_one_line(server: Server) -> None:
    said = await server.failed(1, "logs", "shop")
    assert "no workspace named 'shop'" in said
    assert "Traceback" not in said


def test_control_characters_do_nothing_to_a_terminal() -> None:
    assert neutral(b"a\tb\x1b]0;t\x07\r\x9b\xc2\x9b\xe2\x80\xae\xff") == "a\tb\\x1b]0;t\\x07\\r\ufffd\\x9b\\u202e\ufffd"


@pytest.mark.parametrize("text", ["10", "0m", "-1m", "1w", "1.5h", " 1m"])
def test_a_time_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--since"):
        seconds_of(text)
