"""Conditional requests (RFC 9110 section 13): nobody overwrites what they have not seen."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from relay.errors import BadRequestError, PreconditionFailedError

ANY = "*"
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# RFC 9110 section 5.6.1.2: a recipient takes empty elements of a list.
_LIST = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_TAGS = re.compile(_TAG)
_PATTERN = r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'
"""The form that clients should send, for the OpenAPI document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What must hold for a request to be carried out. Tags stand as on the wire; None is no condition."""

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None

    def require(self, etag: str | None) -> None:
        """Checks the conditions against the present state: its strong tag, None when there is nothing.

        Raises PreconditionFailedError.
        """
        if self.if_match is not None and not self._matches(etag):
            state = "there is nothing there" if etag is None else f"its ETag is {etag}"
            raise PreconditionFailedError(f"If-Match does not hold: {state} now")
        if self.if_none_match is not None and etag is not None and self._is_named(etag):
            raise PreconditionFailedError(f"If-None-Match does not hold: its ETag is {etag} now")

    def _matches(self, etag: str | None) -> bool:
        # Strong comparison (section 8.8.3.2): a weak tag equals nothing, and W/ is never at our tags' front.
        tags = self.if_match or ()
        return etag is not None and (ANY in tags or etag in tags)

    def _is_named(self, etag: str) -> bool:
        # Weak comparison.
        tags = self.if_none_match or ()
        return ANY in tags or etag in {tag.removeprefix("W/") for tag in tags}


def conditions_of(
    request: Request,
    _if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description="Only if its ETag is one of these; `*`: only if it exists.",
            json_schema_extra={"pattern": _PATTERN},
        ),
    ] = None,
    _if_none_match: Annotated[
        str | None,
        Header(
            alias="If-None-Match",
            description="Only if its ETag is none of these; `*`: only if it does not exist.",
            json_schema_extra={"pattern": _PATTERN},
        ),
    ] = None,
) -> Conditions:
    """The conditions of a request. Raises BadRequestError for headers that cannot be read."""
    headers = request.headers
    return Conditions(
        if_match=parse_tags("If-Match", headers.getlist("if-match")),
        if_none_match=parse_tags("If-None-Match", headers.getlist("if-none-match")),
    )


ConditionsOf = Annotated[Conditions, Depends(conditions_of)]


def parse_tags(name: str, lines: Sequence[str]) -> tuple[str, ...] | None:
    """The entity tags in the lines of one header, `*` as itself; None without the header.

    Raises BadRequestError for what is neither `*` nor a list of entity tags (RFC 9110 section 8.8.3).
    """
    if not lines:
        return None
    value = ", ".join(lines).strip(" \t")
    if value == ANY:
        return (ANY,)
    if not _LIST.fullmatch(value):
        raise BadRequestError(f'{name} must be * or a list of entity tags, such as "5f0c-1"', reason="bad_condition")
    return tuple(_TAGS.findall(value))
