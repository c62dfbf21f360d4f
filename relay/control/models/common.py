"""What all messages of the API share."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DESCRIPTION_CHARACTERS = 1000
"""Longest free text; a description is a line or two, not a document."""

# Half a surrogate pair is no text: it cannot be encoded, and so neither stored nor answered.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Request(BaseModel):
    """A body that a client sends: exact types, names in camelCase, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class Answer(BaseModel):
    """A body that the API answers with."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        use_attribute_docstrings=True,
    )


class ListAnswer(Answer):
    """A page of a list."""

    next_cursor: str | None = Field(examples=[None])
    """What `cursor` has to be for the next page; null on the last one."""


def _printable(value: str) -> str:
    if _UNPRINTABLE.search(value):
        raise ValueError("must not contain control characters or half a surrogate pair")
    return value


Line = Annotated[str, AfterValidator(_printable)]
"""Text without line breaks or other control characters."""
Description = Annotated[Line, Field(max_length=DESCRIPTION_CHARACTERS)]
RoleName = Literal["admin", "member"]
RecordId = Annotated[str, Field(examples=["0644fee2d4a4000000d1f2a3b4c5d6e7"])]
"""The id of a record, opaque."""
Time = Annotated[str, Field(examples=["2026-11-23T20:29:00.000Z"], json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC."""
LastFour = Annotated[str, Field(examples=["x7Qa"])]
"""The last characters of a secret, by which people know it."""


def timestamp(epoch_seconds: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def optional_timestamp(epoch_seconds: float | None) -> str | None:
    """As `timestamp`; None stays None."""
    return None if epoch_seconds is None else timestamp(epoch_seconds)
