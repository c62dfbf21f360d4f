"""Makes heads for tests of what is done with them."""

from relay.http1 import RequestHead, ResponseHead, read_request_head, read_response_head


def request(*lines: str, start: str = "GET / HTTP/1.1", host: str = "web--demo.preview.test") -> RequestHead:
    raw = "".join(f"{line}\r\n" for line in (start, f"Host: {host}", *lines, "")).encode("latin-1")
    parsed = read_request_head(bytearray(raw))
    assert parsed is not None
    return parsed[0]


def response(*lines: str, start: str = "HTTP/1.1 200 OK", method: bytes = b"GET") -> ResponseHead:
    raw = "".join(f"{line}\r\n" for line in (start, *lines, "")).encode("latin-1")
    parsed = read_response_head(bytearray(raw), request_method=method)
    assert parsed is not None
    return parsed[0]


def lines_of(raw: bytes) -> list[str]:
    """The lines of a head, which must end with the empty line."""
    assert raw.endswith(b"\r\n\r\n")
    return raw[:-4].decode("latin-1").split("\r\n")
