"""Signatures of webhooks: SHA-256 over the raw body, exactly one, in exactly one form."""

import pytest

from relay.auth import sign_webhook, verify_webhook
from relay.errors import UnauthenticatedError

BODY, ONE, TWO = b'{"a": 1}', b"first-secret-0123", b"second-secret-456"
GOOD = sign_webhook(BODY, ONE)


def test_the_signature_is_the_one_that_github_documents() -> None:
    # The example of GitHub's page "Validating webhook deliveries".
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign_webhook(b"Hello, World!", b"It's a Secret to Everybody") == expected


def test_any_of_the_secrets_will_do_while_one_is_changed() -> None:
    for secrets in ([ONE], [TWO, ONE], [ONE, TWO]):
        verify_webhook(BODY, [GOOD], secrets)


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        [GOOD, GOOD],
        [GOOD.upper()],
        [GOOD.replace("sha256=", "")],
        [GOOD.replace("sha256=", "SHA256=")],
        ["sha1=" + GOOD[7:47]],
        [GOOD + " "],
        [GOOD + "\n"],
        [GOOD[:-1]],
        [GOOD + "0"],
        ["sha256=" + "0" * 64],
        [sign_webhook(BODY + b" ", ONE)],
        [sign_webhook(BODY, TWO)],
        ["sha256=" + "é" * 64],
        [""],
    ],
)
def test_everything_else_is_refused(signatures: list[str]) -> None:
    with pytest.raises(UnauthenticatedError):
        verify_webhook(BODY, signatures, [ONE])


@pytest.mark.parametrize("secrets", [[], [b""]])
def test_without_a_secret_nothing_is_accepted(secrets: list[bytes]) -> None:
    with pytest.raises(UnauthenticatedError):
        verify_webhook(BODY, [sign_webhook(BODY, b"")], secrets)
