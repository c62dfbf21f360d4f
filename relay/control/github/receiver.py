"""POST /github/webhook: signature first, then everything else; queued and answered, worked on later."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from relay.auth import verify_webhook
from relay.control.errors import error_answer
from relay.control.github.payloads import parse_payload, write_hint
from relay.errors import BadRequestError, ConflictError, RelayError
from relay.store import Database, deliveries

PATH = "/github/webhook"
BODY_BYTES = 1024 * 1024
"""Payloads that concern us have some 30 KiB; an installation on some thousand repositories stays below it too."""
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_EVENT = re.compile(r"[a-z_]{1,64}")


class _AnswerError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class WebhookReceiver:
    """An ASGI application for one path.

    Args:
        secrets: any of them may have signed.
        on_queued: called after a new delivery was committed.
    """

    def __init__(self, database: Database, secrets: Sequence[bytes], *, on_queued: Callable[[], None]) -> None:
        self._database = database
        self._secrets = tuple(secrets)
        self._on_queued = on_queued

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one delivery."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except _AnswerError as error:
            answer = error_answer(request, error.status, error.code, str(error))
        except RelayError as error:
            answer = error_answer(request, error.status, error.code, str(error))
        if answer.status_code == 401:  # noqa: PLR2004 - the challenge is for the API's callers
            del answer.headers["www-authenticate"]
            answer.headers["www-authenticate"] = 'Signature realm="github"'
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> JSONResponse:
        body = await _body(request)
        verify_webhook(body, request.headers.getlist("x-hub-signature-256"), self._secrets)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise _AnswerError(415, "unsupported_media_type", "the App's webhook must have the content type json")
        event = _header(request, "x-github-event", _EVENT)
        guid = _header(request, "x-github-delivery", _GUID).lower()
        if event == "ping":
            return _said(200, "pong")
        hint = parse_payload(event, body)
        if hint is None:
            return _said(202, "ignored")
        if not await self._put(guid, event, write_hint(hint)):
            return _said(200, "known")
        self._on_queued()
        return _said(202, "queued")

    async def _put(self, guid: str, event: str, payload: dict[str, Any]) -> bool:
        try:
            return await self._database.write(deliveries.put, guid, event, payload)
        except ConflictError:
            # Another process took the same delivery at the same moment: now it is known.
            return await self._database.write(deliveries.put, guid, event, payload)


async def _body(request: Request) -> bytes:
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= BODY_BYTES:  # the rest is read to its end, and not kept
            body += chunk
    if size > BODY_BYTES:
        raise _AnswerError(413, "too_large", f"the delivery is larger than {BODY_BYTES} bytes")
    return bytes(body)


def _header(request: Request, name: str, pattern: re.Pattern[str]) -> str:
    values = request.headers.getlist(name)
    if len(values) != 1 or not pattern.fullmatch(values[0]):
        raise BadRequestError(f"the header {name} is missing, or not what GitHub sends", reason="webhook_header")
    return values[0]


def _said(status: int, what: str) -> JSONResponse:
    return JSONResponse({"status": what}, status)
