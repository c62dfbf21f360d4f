"""Keys at rest: a secret encrypted under the master key.

A wrapped key is: format (1 byte), nonce (12 bytes), AES-256-GCM ciphertext with its tag (NIST SP 800-38D). The label is
associated data: what was wrapped as one thing does not unwrap as another.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.auth.master import MasterKey
from relay.auth.sealing import FORMAT, NONCE_BYTES, UnsealError


def wrap(master: MasterKey, secret: bytes, *, label: str) -> bytes:
    """Encrypts a secret under the master key. `label` says what it is, and comes back to `unwrap`."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return FORMAT + nonce + _cipher(master).encrypt(nonce, secret, _context(master, label))


def unwrap(master: MasterKey, blob: bytes, *, label: str) -> bytes:
    """Decrypts what `wrap` gave for the same key and label. Raises UnsealError."""
    start = len(FORMAT) + NONCE_BYTES
    if not blob.startswith(FORMAT) or len(blob) <= start:
        raise UnsealError(f"{label} is not a wrapped key")
    try:
        return _cipher(master).decrypt(blob[len(FORMAT) : start], blob[start:], _context(master, label))
    except InvalidTag as error:
        raise UnsealError(f"{label} was not wrapped under the master key {master.id}, or was damaged") from error


def _cipher(master: MasterKey) -> AESGCM:
    return AESGCM(master.derive("wrap"))


def _context(master: MasterKey, label: str) -> bytes:
    return FORMAT + f"{master.id}|{label}".encode()
