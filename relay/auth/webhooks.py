"""The signature of a GitHub webhook: HMAC-SHA-256 over the raw body, under a secret that both sides know."""

import hashlib
import hmac
import re
from collections.abc import Sequence

from relay.errors import UnauthenticatedError

_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")


def sign_webhook(body: bytes, secret: bytes) -> str:
    """The value of X-Hub-Signature-256 for a body."""
    return f"sha256={hmac.digest(secret, body, hashlib.sha256).hex()}"


def verify_webhook(body: bytes, signatures: Sequence[str], secrets: Sequence[bytes]) -> None:
    """Raises UnauthenticatedError unless the body was signed under one of `secrets`.

    Args:
        body: the bytes as they came, before anything parses them.
        signatures: all values of the header X-Hub-Signature-256; exactly one is right. The older X-Hub-Signature
            (SHA-1) is worth nothing and not looked at.
        secrets: more than one while a secret is being changed.
    """
    if len(signatures) != 1:
        raise UnauthenticatedError("the delivery must have one X-Hub-Signature-256")
    match = _SIGNATURE.fullmatch(signatures[0])
    if match is None:
        raise UnauthenticatedError("the X-Hub-Signature-256 of the delivery is malformed")
    presented = bytes.fromhex(match[1])
    # Each secret is tried, whichever fits: the time tells only how many there are.
    fits = [hmac.compare_digest(hmac.digest(secret, body, hashlib.sha256), presented) for secret in secrets if secret]
    if not any(fits):
        raise UnauthenticatedError("the delivery was not signed with the webhook secret")
