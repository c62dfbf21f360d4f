"""Keys: the master key, which protects the sealing keys, and the sealing keys, from which all else is derived."""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from relay.errors import ConfigurationError

KEY_BYTES = 32
"""256 bits, for every key and all that is derived from it."""
KEY_ID_BYTES = 4
"""Enough to tell the few keys of one installation apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKey:
    """32 secret bytes; `repr` shows the id only."""

    secret: bytes = field(repr=False)
    id: str = field(init=False)
    """Hexadecimal, derived from the secret; safe to show."""

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ConfigurationError(f"a key has {KEY_BYTES} bytes, not {len(self.secret)}")
        object.__setattr__(self, "id", self.derive("id")[:KEY_ID_BYTES].hex())

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose by HKDF-SHA-256 (RFC 5869); knowing them tells nothing about another purpose."""
        hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"signadot-relay {purpose}".encode())
        return hkdf.derive(self.secret)

    def fingerprint(self) -> str:
        """A longer name of the key for people who compare key files; safe to show."""
        return hashlib.sha256(self.derive("fingerprint")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKey(SecretKey):
    """The key in the master key file: sealing keys and file keys rest encrypted under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingKey(SecretKey):
    """A key of the ring: values are sealed, indexed and hashed under what is derived from it; its id is in them."""

    @classmethod
    def mint(cls) -> Self:
        """A new random key."""
        return cls(secret=secrets.token_bytes(KEY_BYTES))


def parse_master_key(text: str, *, source: str) -> MasterKey:
    """Reads the text of a master key file: 32 bytes in base64 (RFC 4648 section 4), white space around them ignored.

    `source` names the file in the ConfigurationError that anything else raises; the text itself is never repeated.
    """
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(
            f"{source}: not a master key: {KEY_BYTES} random bytes in base64 are expected"
        ) from error
    if len(secret) != KEY_BYTES:
        raise ConfigurationError(f"{source}: not a master key: it holds {len(secret)} bytes, {KEY_BYTES} are expected")
    return MasterKey(secret=secret)


def parse_master_keys(text: str, *, source: str) -> tuple[MasterKey, ...]:
    """Reads a master key file: one key a line, the one in use first, then those that it is taking over from.

    Raises as `parse_master_key` does, and for a key that is there twice.
    """
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    keys = tuple(parse_master_key(line, source=source) for line in lines)
    if len({key.id for key in keys}) < len(keys):
        raise ConfigurationError(f"{source}: the same master key stands there twice")
    return keys


def print_master_keys(keys: Iterable[MasterKey]) -> str:
    """The text of a master key file with these keys."""
    return "".join(base64.b64encode(key.secret).decode("ascii") + "\n" for key in keys)


def mint_master_key() -> str:
    """The text of a new master key file."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii") + "\n"
