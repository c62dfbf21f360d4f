"""Preview cookies: sealed notes that say which login may visit one preview host, until when. Kept by browsers only.

A note is: format (2 bytes), key id (4 bytes), nonce (12 bytes), AES-256-GCM ciphertext with its tag (NIST SP 800-38D)
of the login's id (16 bytes) and two times (8 bytes each), 66 bytes in all, which are 88 characters of base64url
(RFC 4648 section 5). The host is associated data: on another host the note does not open.
"""

import binascii
import re
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PURPOSE = "preview-cookie"
"""The purpose for which the keys are derived."""
MAX_SECONDS = 3600.0
"""Longest life of a cookie: what it says about the login is looked up anyway, this bounds what nobody thought of."""

_FORMAT = b"p1"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12  # 96 bits, drawn at random: good for 2**32 cookies under one key (NIST SP 800-38D section 8.3)
_NONCE_AT = len(_FORMAT) + _KEY_ID_BYTES
_SEALED_AT = _NONCE_AT + _NONCE_BYTES
_NOTE = struct.Struct(">16sdd")
# 66 bytes need no padding, so that each note has exactly one text.
_TEXT = re.compile(rb"[A-Za-z0-9_-]{88}")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewNote:
    """What a preview cookie says."""

    login_id: str
    issued_at: float
    """Epoch seconds."""
    expires_at: float
    """Epoch seconds."""


class Unreadable(Enum):
    """Why a preview cookie counts for nothing."""

    INVALID = "invalid"
    """Damaged, made up, made for another host, or its time is over."""
    UNKNOWN_KEY = "unknown key"
    """Sealed under a key that is not at hand: a newer one perhaps, or one that has been retired."""


class PreviewCookies:
    """Mints and reads the values of preview cookies.

    Args:
        keys: pairs of a key's id (8 hexadecimal digits) and its 32 bytes for PURPOSE; the active one first.
    """

    __slots__ = ("_active", "_ciphers")

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._ciphers = {bytes.fromhex(key_id): AESGCM(key) for key_id, key in keys}
        self._active = bytes.fromhex(keys[0][0])

    def mint(self, login_id: str, *, host: str, now: float, seconds: float) -> str:
        """The value of a cookie for a login (32 hexadecimal digits) at `host`, good for `seconds`, at most an hour."""
        header = _FORMAT + self._active
        nonce = secrets.token_bytes(_NONCE_BYTES)
        note = _NOTE.pack(bytes.fromhex(login_id), now, now + min(seconds, MAX_SECONDS))
        sealed = self._ciphers[self._active].encrypt(nonce, note, header + host.encode())
        return binascii.b2a_base64(header + nonce + sealed, newline=False).translate(_TO_URL).decode("ascii")

    def read(self, value: bytes, *, host: str, now: float) -> PreviewNote | Unreadable:
        """What the value of a cookie says that a browser presents at `host`."""
        if _TEXT.fullmatch(value) is None:
            return Unreadable.INVALID
        blob = binascii.a2b_base64(value.translate(_FROM_URL))
        header = blob[:_NONCE_AT]
        if not header.startswith(_FORMAT):
            return Unreadable.INVALID
        cipher = self._ciphers.get(header[len(_FORMAT) :])
        if cipher is None:
            return Unreadable.UNKNOWN_KEY
        try:
            note = cipher.decrypt(blob[_NONCE_AT:_SEALED_AT], blob[_SEALED_AT:], header + host.encode())
        except InvalidTag:
            return Unreadable.INVALID
        login_id, issued_at, expires_at = _NOTE.unpack(note)
        if now >= min(expires_at, issued_at + MAX_SECONDS):
            return Unreadable.INVALID
        return PreviewNote(login_id=login_id.hex(), issued_at=issued_at, expires_at=expires_at)
