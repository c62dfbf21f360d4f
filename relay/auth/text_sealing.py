"""Text that goes through a browser and comes back: nobody else can have made it, and the browser cannot read it."""

import base64
import binascii
import secrets
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.auth.sealing import NONCE_BYTES


class TextSealer:
    """Seals with the first of its keys, unseals with any (AES-256-GCM, NIST SP 800-38D).

    Args:
        keys: gives the keys of this one purpose, 32 bytes each, the one in use first; asked each time, as they change.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        self._keys = keys

    def seal(self, text: str) -> str:
        """Base64url without padding, a third longer than the text and 38 characters more."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + AESGCM(self._keys()[0]).encrypt(nonce, text.encode("utf-8"), None)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def unseal(self, sealed: str) -> str | None:
        """What was sealed; None for anything else."""
        try:
            blob = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        for key in self._keys():
            try:
                return AESGCM(key).decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], None).decode("utf-8")
            except (InvalidTag, ValueError):  # another key's; or shorter than a nonce
                continue
        return None
