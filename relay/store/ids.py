"""Ids of rows: unique, and in order of time, so that lists and indexes follow the order of creation."""

import secrets

_RANDOM_BYTES = 7


def first_id(now: float) -> str:
    """The lowest id that can be made at `now` or later."""
    return f"{int(now * 1e6):014x}".ljust(32, "0")


def new_id(now: float, sequence: int) -> str:
    """128 bits in hexadecimal: microseconds since the epoch (56), place in the transaction (16), randomness (56).

    After RFC 9562 section 6.2: time in front keeps new rows together in the indexes, the sequence keeps their order.
    """
    return f"{int(now * 1e6):014x}{sequence & 0xFFFF:04x}" + secrets.token_hex(_RANDOM_BYTES)


def id_after(row_id: str) -> str:
    """A new id that is greater than this one, as near to it as may be."""
    return f"{int(row_id[:18], 16) + 1:018x}" + secrets.token_hex(_RANDOM_BYTES)
