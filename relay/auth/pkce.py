"""Secrets that bind a sign-in to one browser: PKCE (RFC 7636) and nonces. Both are shown to others as hashes only."""

import base64
import binascii
import hashlib
import re
import secrets

RANDOM_BYTES = 32
"""256 bits, which is what RFC 7636 section 7.1 recommends for a verifier; 43 characters in base64url."""

_TEXT = re.compile(r"[A-Za-z0-9_-]{43}")


def mint_verifier() -> str:
    """A new code verifier (RFC 7636 section 4.1)."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def challenge(verifier: str) -> str:
    """The S256 code challenge of a verifier (RFC 7636 section 4.2)."""
    return _print(hashlib.sha256(verifier.encode("ascii")).digest())


def mint_nonce() -> str:
    """A new nonce, for a cookie."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def is_nonce(text: str) -> bool:
    """Whether a text has the form of a nonce."""
    return _TEXT.fullmatch(text) is not None


def nonce_hash(nonce: str) -> bytes:
    """SHA-256 of a nonce: what the other side is told instead of it."""
    return hashlib.sha256(nonce.encode("utf-8", "replace")).digest()


def print_nonce_hash(digest: bytes) -> str:
    """A nonce's hash as it stands in a URL: base64url without padding (RFC 4648 section 5)."""
    return _print(digest)


def parse_nonce_hash(text: str) -> bytes | None:
    """Reads what `print_nonce_hash` prints; None for anything else."""
    if _TEXT.fullmatch(text) is None:
        return None
    try:
        digest = base64.urlsafe_b64decode(text + "=")
    except binascii.Error:
        return None
    return digest if _print(digest) == text else None


def _print(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
