"""Answers of the relay's own: errors as JSON for programs and as a page for people."""

import html as html_text
import json
from collections.abc import Iterable
from http import HTTPStatus

from relay.http1.fields import join_headers
from relay.http1.look import STYLE, STYLE_SOURCE
from relay.http1.request import RequestHead

_POLICY = f"default-src 'none'; style-src {STYLE_SOURCE}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HTML_HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
)
_TITLES = {
    "bad_request": "This request cannot be read",
    "cluster_offline": "This cluster is offline",
    "forbidden": "No access",
    "misdirected": "Nothing is served under this name",
    "not_found": "Not found",
    "overloaded": "Too busy at present",
    "sign_in_failed": "Signing in did not work",
    "store_unavailable": "Not available at present",
    "target_closed": "The app broke off",
    "target_not_allowed": "The agent refused to connect",
    "target_not_found": "The app was not found",
    "target_refused": "The app does not take connections",
    "target_timeout": "The app does not answer",
    "too_large": "This request is too large",
    "unauthenticated": "An API key is needed",
}
"""What a person reads first; the sentence below it says more."""
_JSON_HEADERS = ((b"content-type", b"application/json"),)


def error_answer(
    *,
    status: int,
    code: str,
    message: str,
    request_id: str,
    html: bool,
    keep_alive: bool,
    head_only: bool = False,
    extra_headers: Iterable[tuple[bytes, bytes]] = (),
    link: tuple[str, str] | None = None,
) -> bytes:
    """A complete error answer: `{"code", "error", "requestId"}`, or a page that says the same.

    `head_only` leaves the body out (answers to HEAD) but keeps its length. `extra_headers` must be valid already.
    `link` (URL, text) is what the page offers to go on with.
    """
    body = _page(status, code, message, request_id, link=link) if html else _document(code, message, request_id)
    headers = [
        *(_HTML_HEADERS if html else _JSON_HEADERS),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode("ascii", "replace")),
        *extra_headers,
    ]
    if not keep_alive:
        headers.append((b"connection", b"close"))
    return response_head(status, headers) + (b"" if head_only else body)


def response_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A response head of the relay's own; header names and values must be valid already."""
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase(status).encode()) + join_headers(headers) + b"\r\n"


def phrase(status: int) -> str:
    """The standard reason phrase of a status, empty for one without."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def wants_html(head: RequestHead) -> bool:
    """Whether an error is met by a person: a top-level navigation, or a GET that asks for HTML."""
    if head.method not in {b"GET", b"HEAD"}:
        return False
    mode = head.get(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate"
    return b"text/html" in (head.get(b"accept") or b"").lower()


def _document(code: str, message: str, request_id: str) -> bytes:
    return json.dumps({"code": code, "error": message, "requestId": request_id}).encode() + b"\n"


def _page(status: int, code: str, message: str, request_id: str, *, link: tuple[str, str] | None) -> bytes:
    way_on = ""
    if link is not None:
        way_on = f'<p><a href="{html_text.escape(link[0])}">{html_text.escape(link[1])}</a></p>\n'
    title = html_text.escape(_TITLES.get(code) or phrase(status) or "Error")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f"<p>{html_text.escape(message)}</p>\n{way_on}"
        f"<p><small>{status} {html_text.escape(code)}, request {html_text.escape(request_id)}</small></p>\n"
        "</main>\n</body>\n</html>\n"
    ).encode()
