"""Every error becomes one JSON shape, whoever raises it."""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from relay.control.models.errors import ErrorAnswer, Problem
from relay.control.rates import rate_headers, retry_after
from relay.errors import GithubUnavailableError, RateLimitedError, RelayError, UnauthenticatedError

CHALLENGE = {"www-authenticate": 'ApiKey realm="signadot"'}
"""RFC 9110 section 11.6.1: a 401 says which scheme is wanted."""

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
_PATH_IN_MESSAGE = re.compile(r"([A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9_-]+)*): (.+)", re.DOTALL)
_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "json_invalid": "the body is not valid JSON",
}

log = structlog.get_logger()


def add_error_handlers(app: FastAPI) -> None:
    """Makes `app` answer every error in the API's shape."""
    app.add_exception_handler(RelayError, _relay_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


class AnswerUnexpected:
    """ASGI middleware, outermost: an exception that nobody expected becomes a logged 500 in the API's shape."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Runs the application for one request."""
        try:
            await self._app(scope, receive, send)
        except Exception:
            request = Request(scope)
            log.exception("api_failed", request_id=_request_id(request), method=request.method, path=request.url.path)
            answer = error_answer(
                request,
                500,
                "internal_error",
                "The relay failed to answer; its log has the cause under the request id.",
            )
            await answer(scope, receive, send)


class AddHeaders:
    """ASGI middleware, outside of all: what every answer says of itself."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Runs the application for one request."""
        state: dict[str, Any] = {}
        scope["state"] = state

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                # Answers hold secrets that are shown once, and states that change without a new ETag.
                added = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
                if (allowance := state.get("allowance")) is not None:
                    added += rate_headers(allowance)
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def error_answer(
    request: Request, status: int, code: str, message: str, *, problems: Sequence[Problem] = ()
) -> JSONResponse:
    """The answer for one error."""
    answer = ErrorAnswer(
        code=code, error=message, request_id=_request_id(request), problems=tuple(problems) if problems else None
    )
    content = answer.model_dump(by_alias=True, exclude_none=True)
    return JSONResponse(content, status, headers=CHALLENGE if status == HTTPStatus.UNAUTHORIZED else None)


def _request_id(request: Request) -> str:
    return request.headers.get("x-request-id", "")


async def _relay_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RelayError)  # noqa: S101 - registered for it alone
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    message = str(error)
    problems = []
    if error.code == "invalid" and (match := _PATH_IN_MESSAGE.fullmatch(message)):
        problems.append(Problem(path=match[1], message=match[2]))
    code = UnauthenticatedError.code if isinstance(error, UnauthenticatedError) else error.code
    answer = error_answer(request, error.status, code, message, problems=problems)
    if isinstance(error, RateLimitedError | GithubUnavailableError) and error.retry_after_seconds is not None:
        answer.headers["retry-after"] = retry_after(error.retry_after_seconds)
    return answer


def problems_of(error: ValidationError) -> str:
    """All that is wrong with a document, in one line, each with its path."""
    problems = [_problem({**item, "loc": ("document", *item["loc"])}) for item in error.errors()]
    return _joined(problems)


def _joined(problems: Iterable[Problem]) -> str:
    return "; ".join(f"{problem.path}: {problem.message}" if problem.path else problem.message for problem in problems)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    problems = [_problem(item) for item in error.errors()]
    message = _joined(problems)
    return error_answer(request, 422, "invalid", message, problems=problems)


def _problem(item: Any) -> Problem:
    kind = item["type"]
    location = item["loc"]
    if kind == "json_invalid":
        context = item.get("ctx", {}).get("error", "")
        return Problem(path="", message=f"the body is not valid JSON: {context} at character {location[-1]}")
    if kind in {"model_attributes_type", "model_type"} and len(location) == 1:
        return Problem(path="", message="the body must be a JSON object, sent with content-type: application/json")
    message = _MESSAGES.get(kind, item["msg"].removeprefix("Value error, "))
    return Problem(path=_path(location[1:]), message=message[:1].lower() + message[1:])


def _path(location: Iterable[int | str]) -> str:
    path = ".".join(str(part) for part in location if part != "[key]")
    # A key of the body's may hold half a surrogate pair, which cannot be sent back.
    return path.encode("utf-8", "replace").decode()


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    status = error.status_code
    if status == HTTPStatus.NOT_FOUND:
        message = f"there is nothing at {request.url.path}"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"{request.method} is not possible at {request.url.path}"
    else:
        message = str(error.detail)
    answer = error_answer(request, status, _CODES.get(status, "bad_request"), message)
    answer.headers.update(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        # RFC 9110 section 15.5.6: all of them; the framework names those of the first route that fits the path.
        answer.headers["allow"] = ", ".join(sorted(_methods_at(request)))
    return answer


def _methods_at(request: Request) -> set[str]:
    path = request.scope["path"]
    places: Iterable[tuple[re.Pattern[str], set[str]]] = request.app.state.places
    return {method for pattern, methods in places for method in methods if pattern.match(path)}
