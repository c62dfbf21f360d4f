"""Presented secrets: how they are minted, recognised and stored.

A token is a prefix that names its kind, 30 random base62 characters (178 bits), and the CRC32 of both in 6 base62
characters. The checksum is no secret: it lets typing errors, and scanners' guesses, be refused without a look-up.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from enum import Enum

from relay.errors import UnauthenticatedError

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""Base62 in ASCII order."""
SECRET_CHARACTERS = 30
CHECKSUM_CHARACTERS = 6
"""62**6 > 2**32, so every CRC32 fits."""
SHOWN_CHARACTERS = 4
"""How much of a token lists may show."""

_TOKEN = re.compile(rf"(sd[kts]_)([0-9A-Za-z]{{{SECRET_CHARACTERS}}})([0-9A-Za-z]{{{CHECKSUM_CHARACTERS}}})")


class TokenKind(Enum):
    """What a token is for; the value is its prefix."""

    API_KEY = "sdk_"
    CLUSTER_TOKEN = "sdt_"  # noqa: S105 - a prefix, not a secret
    LOGIN_CODE = "sds_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token whose form and checksum are right; whether it is known is for the store to say."""

    kind: TokenKind
    """What it is for."""
    text: str = field(repr=False)
    """The whole secret; kept out of `repr`, and so out of logs and tracebacks."""

    @property
    def last_four(self) -> str:
        """The characters that lists show so that a person can tell tokens apart."""
        return self.text[-SHOWN_CHARACTERS:]


def mint(kind: TokenKind) -> str:
    """A new random token of a kind."""
    body = kind.value + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_CHARACTERS))
    return body + _checksum(body)


def parse(text: str, *, kind: TokenKind | None = None) -> Token:
    """Recognises a token, of `kind` if that is given.

    Raises UnauthenticatedError; its message never repeats the text.
    """
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise UnauthenticatedError("the credential is malformed: it does not have the form of a key or token")
    body = match[1] + match[2]
    if not hmac.compare_digest(_checksum(body), match[3]):
        raise UnauthenticatedError(
            "the credential is malformed: its checksum is wrong, a character may be missing or changed"
        )
    found = TokenKind(match[1])
    if kind is not None and found is not kind:
        raise UnauthenticatedError(f"the credential is {_NAMES[found]}, where {_NAMES[kind]} is needed")
    return Token(kind=found, text=text)


def keyed_hash(token: Token, pepper: bytes, *, version: str) -> bytes:
    """HMAC-SHA-256 (RFC 2104) under the pepper: the only form in which a token is stored.

    `version` names the pepper and is hashed too, so that no row can pass for one of another pepper.
    """
    return hmac.digest(pepper, f"{version}|{token.text}".encode("ascii"), hashlib.sha256)


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


_NAMES = {
    TokenKind.API_KEY: "an API key",
    TokenKind.CLUSTER_TOKEN: "a cluster token",
    TokenKind.LOGIN_CODE: "a login code",
}
