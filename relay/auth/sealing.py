"""Sealing of database values, and the keyed hashes by which sealed values are looked up.

A sealed value is: format (1 byte), key id (4 bytes), nonce (12 bytes), AES-256-GCM ciphertext with its tag (NIST SP
800-38D). Table, column and row id are associated data: a value moved to another place does not unseal.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.auth.master import KEY_ID_BYTES, SecretKey
from relay.auth.tokens import Token, keyed_hash
from relay.errors import RelayError

FORMAT = b"\x01"
NONCE_BYTES = 12
"""96 bits, the size GCM is fastest and safest with; drawn at random, good for 2**32 values under one key."""
OVERHEAD_BYTES = len(FORMAT) + KEY_ID_BYTES + NONCE_BYTES + 16
"""What sealing adds to a value's length."""


class UnsealError(RelayError):
    """A sealed value was damaged, moved to another row or column, or sealed under a key that is not at hand."""

    code = "unseal_failed"


class Sealer:
    """Seals with the active key, unseals with any of those given.

    Args:
        active: the key under which values are sealed, indexed and hashed.
        others: earlier keys whose values can still be read and found.
    """

    __slots__ = ("_ciphers", "_index_keys", "_keys", "_peppers", "active")

    def __init__(self, active: SecretKey, *, others: Iterable[SecretKey] = ()) -> None:
        self.active = active
        self._keys = (active, *others)
        self._ciphers = {bytes.fromhex(key.id): AESGCM(key.derive("sealing")) for key in self._keys}
        self._peppers = {key.id: key.derive("pepper") for key in self._keys}
        self._index_keys = tuple(key.derive("index") for key in self._keys)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys, the active one first."""
        return tuple(key.id for key in self._keys)

    def derive(self, purpose: str) -> tuple[tuple[str, bytes], ...]:
        """For every key its id and 32 bytes for one purpose, the active one first: sign with it, accept any of them.

        Do not keep them: ask again each time, as the keys of a running process change.
        """
        return tuple((key.id, key.derive(purpose)) for key in self._keys)

    def seal(self, plaintext: str, *, table: str, column: str, row_id: str) -> bytes:
        """Encrypts a value for one column of one row. Sealing twice gives two different blobs."""
        key_id = bytes.fromhex(self.active.id)
        nonce = secrets.token_bytes(NONCE_BYTES)
        header = FORMAT + key_id
        place = _place(header, table, column, row_id)
        return header + nonce + self._ciphers[key_id].encrypt(nonce, plaintext.encode("utf-8"), place)

    def unseal(self, blob: bytes, *, table: str, column: str, row_id: str) -> str:
        """Decrypts what `seal` gave for the same place. Raises UnsealError."""
        header_bytes = len(FORMAT) + KEY_ID_BYTES
        header, nonce = blob[:header_bytes], blob[header_bytes : header_bytes + NONCE_BYTES]
        if len(blob) < OVERHEAD_BYTES or not header.startswith(FORMAT):
            raise UnsealError(f"{table}.{column} of {row_id} is not a sealed value")
        cipher = self._ciphers.get(header[len(FORMAT) :])
        if cipher is None:
            key_id = header[len(FORMAT) :].hex()
            raise UnsealError(f"{table}.{column} of {row_id} is sealed under key {key_id}, which is not at hand")
        try:
            plaintext = cipher.decrypt(nonce, blob[header_bytes + NONCE_BYTES :], _place(header, table, column, row_id))
        except InvalidTag as error:
            raise UnsealError(f"{table}.{column} of {row_id} was damaged or moved from another place") from error
        return plaintext.decode("utf-8")

    def blind_index(self, value: str, *, table: str, column: str) -> bytes:
        """A keyed hash (HMAC-SHA-256) that stands beside a sealed value so that it can be looked up and kept unique.

        Equal values of one column have equal hashes under one key; those of different columns do not.
        """
        return self.blind_indexes(value, table=table, column=column)[0]

    def blind_indexes(self, value: str, *, table: str, column: str) -> list[bytes]:
        """The hashes beside which a value may be found, one per key, the active one first."""
        message = _joined(table, column, value)
        return [hmac.digest(key, message, hashlib.sha256) for key in self._index_keys]

    def token_hash(self, token: Token) -> tuple[bytes, str]:
        """The keyed hash to store for a new token, and the version of the pepper in it."""
        version = self.active.id
        return keyed_hash(token, self._peppers[version], version=version), version

    def token_hashes(self, token: Token) -> list[bytes]:
        """The hashes under which a token may be stored, one per pepper, the active one first."""
        return [keyed_hash(token, pepper, version=version) for version, pepper in self._peppers.items()]


def _place(header: bytes, table: str, column: str, row_id: str) -> bytes:
    return header + _joined(table, column, row_id)


def _joined(*parts: str) -> bytes:
    # Table and column names hold no `|`, so the joining is unambiguous whatever the last part is.
    return "|".join(parts).encode("utf-8")
