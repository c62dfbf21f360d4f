"""The cluster token's file: read at every login, and watched, so that a new token is used without a restart."""

from pathlib import Path

import trio

from relay.errors import ConfigurationError

MAX_TOKEN_BYTES = 1024
"""Tokens have 40 characters; a file that is far larger is the wrong file, and is not sent anywhere."""


def one_word(content: bytes) -> str | None:
    """The one printable word that a token's file holds; None where it holds anything else.

    Tokens become header lines and fields of messages: nothing that could end one may be in it.
    """
    words = content.split()
    if len(words) != 1 or not words[0].isascii() or not words[0].decode().isprintable():
        return None
    return words[0].decode()


def read_token(path: Path) -> str:
    """The token in a file, without the white space around it.

    Raises:
        ConfigurationError: the file cannot be read, or what is in it cannot be a token. The content is never quoted.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read the token file {path}: {error.strerror or error}") from error
    if len(content) > MAX_TOKEN_BYTES:
        raise ConfigurationError(f"the token file {path} has more than {MAX_TOKEN_BYTES} bytes; it is no token")
    if not content.split():
        raise ConfigurationError(f"the token file {path} is empty")
    token = one_word(content)
    if token is None:
        raise ConfigurationError(f"the token file {path} must hold one token and nothing else")
    return token


LOOK_SECONDS = 1.0
"""Between two looks at the file: as prompt as a person expects, and one small read costs nothing."""


class WatchedToken:
    """The newest good token of a file.

    The content is compared, not the file's times or inode: an atomic rename, a write in place and the swap of a
    Kubernetes `..data` link all look the same here, and a file that was touched is no change.

    Raises:
        ConfigurationError: at construction, when there is no token to start with.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._value = read_token(path)
        self._problem: str | None = None

    @property
    def value(self) -> str:
        """The token in use."""
        return self._value

    @property
    def problem(self) -> str | None:
        """Why the file as it is now is not used (the token read before is), or None."""
        return self._problem

    def refresh(self) -> bool:
        """Reads the file again; True when there is another token in it. Never raises for what stands in the file."""
        try:
            value = read_token(self._path)
        except ConfigurationError as error:
            # A writer that truncates first is met in the middle now and then; the next look finds the whole.
            self._problem = str(error)
            return False
        self._problem = None
        changed = value != self._value
        self._value = value
        return changed

    def __repr__(self) -> str:
        return f"WatchedToken({self._path})"


class TokenChanges:
    """Tells the links when to log in anew: each change sets the event that was current, and a new one takes over."""

    def __init__(self, token: WatchedToken) -> None:
        self._token = token
        self._event = trio.Event()

    def event(self) -> trio.Event:
        """Set at the next change."""
        return self._event

    async def watch(self) -> None:
        """Looks at the file until cancelled."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            if self._token.refresh():
                self.announce()

    def announce(self) -> None:
        """What the next login says is other than what the last one said."""
        self._event.set()
        self._event = trio.Event()
