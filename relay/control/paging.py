"""Lists in pages: a limit, a cursor that only this API reads, and a link to the next page (RFC 8288)."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from fastapi import Depends, Query, Request, Response

from relay.errors import InvalidError
from relay.store import Database
from relay.store.rows import MAX_PAGE

T = TypeVar("T")

DEFAULT_LIMIT = 100
MAX_LIMIT = MAX_PAGE - 1
"""One more is read than is shown, which tells whether there is a next page."""
_CURSOR = "^[A-Za-z0-9_-]{21}[AQgw]$"  # 128 bits
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list."""

    items: Sequence[T]
    next_cursor: str | None
    """Where the next page begins; None on the last one."""


class Paging:
    """Which page of a list is asked for; a dependency of every list."""

    def __init__(
        self,
        *,
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items at most.")] = DEFAULT_LIMIT,
        cursor: Annotated[
            str | None,
            Query(
                description="Where to go on: `nextCursor` of the page before.",
                examples=["BkT-4tSkAAAA0fKjtMXW5w"],
                json_schema_extra={"pattern": _CURSOR},
            ),
        ] = None,
    ) -> None:
        """Raises InvalidError for a cursor that this API did not give out."""
        self._request = request
        self._response = response
        self._limit = limit
        self._last_id = None if cursor is None else _read_cursor(cursor)

    async def read(
        self, database: Database, query: Callable[..., Sequence[T]], *args: Any, id_of: Callable[[T], str]
    ) -> Page[T]:
        """The page of `query`, which takes `limit` and `after`, an id. Raises what the database and the query do."""
        return self._page(await database.read(query, *args, limit=self._limit + 1, after=self._last_id or ""), id_of)

    async def read_backwards(
        self, database: Database, query: Callable[..., Sequence[T]], *args: Any, id_of: Callable[[T], str]
    ) -> Page[T]:
        """As `read`, for a list with the newest first: `query` takes `limit` and `before`, an id or None."""
        return self._page(await database.read(query, *args, limit=self._limit + 1, before=self._last_id), id_of)

    def _page(self, found: Sequence[T], id_of: Callable[[T], str]) -> Page[T]:
        items = found[: self._limit]
        if len(found) <= self._limit:
            return Page(items=items, next_cursor=None)
        cursor = _print_cursor(id_of(items[-1]))
        query = urlencode({"limit": self._limit, "cursor": cursor})
        self._response.headers["link"] = f'<{quote(self._request.url.path)}?{query}>; rel="next"'
        return Page(items=items, next_cursor=cursor)


PagingOf = Annotated[Paging, Depends()]


def _print_cursor(last_id: str) -> str:
    return urlsafe_b64encode(bytes.fromhex(last_id)).decode().rstrip("=")


def _read_cursor(cursor: str) -> str:
    try:
        last_id = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).hex()
    except (ValueError, binascii.Error):
        last_id = ""
    # Compared with what it should have been: the decoder passes over characters that are not its own.
    if not _ID.fullmatch(last_id) or _print_cursor(last_id) != cursor:
        raise InvalidError("cursor: is not one that this list gave out")
    return last_id
