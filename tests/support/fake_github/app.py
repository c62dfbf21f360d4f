"""The registered GitHub App: identity, secrets, permissions."""

import secrets
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 2048
"""What GitHub makes for apps."""


def new_private_key() -> bytes:
    """A fresh RSA key, PKCS #1 PEM, as GitHub gives it for download."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


@cache
def shared_private_key() -> bytes:
    """One key per process: making one takes longer than most tests."""
    return new_private_key()


@dataclass(slots=True, kw_only=True)
class App:
    """What GitHub's settings page of an app shows; tests may change any of it."""

    id: int = 4211
    slug: str = "preview-relay"
    name: str = "Preview relay"
    client_id: str = "Iv23lifakefakefakefa"
    client_secret: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)
    webhook_secret: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)
    private_key_pem: bytes = field(default_factory=shared_private_key, repr=False)
    callback_urls: list[str] = field(default_factory=list)
    """The registered redirect URIs; an authorisation must name one to the letter."""
    permissions: dict[str, str] = field(
        default_factory=lambda: {
            "metadata": "read",
            "pull_requests": "read",
            "statuses": "write",
        }
    )
    """What new installations are granted."""
    events: list[str] = field(default_factory=lambda: ["pull_request"])
    """Which webhooks it subscribed to, beside those that every app gets."""
    user_token_seconds: float | None = 8 * 3600.0
    """GitHub's default; None: user tokens do not expire."""
    hook_id: int = 77

    @property
    def public_key_pem(self) -> bytes:
        """For checking the app's JWTs."""
        key = serialization.load_pem_private_key(self.private_key_pem, password=None)
        return key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
