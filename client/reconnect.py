"""When to dial again, and which processes of the relay: pure decisions that links act on."""

from collections.abc import Iterable
from dataclasses import dataclass

from client.backoff import STEADY_SECONDS, Backoff
from relay.mux.codes import CloseCode
from relay.mux.handshake import RelayProcess

_REFUSALS = frozenset({CloseCode.UNAUTHENTICATED, CloseCode.UNSUPPORTED_VERSION})
"""What trying again soon cannot mend: another token or another program is needed."""
_INVITATIONS = frozenset({CloseCode.SHUTDOWN, CloseCode.DRAIN})
"""The relay is fine and says when to come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a tunnel, or the attempt to bring one up, ended."""

    message: str
    """One sentence: the relay's own, where there is one."""
    close_code: int | None = None
    """The code of the relay's GOAWAY, None where none came."""
    retry_after_seconds: float = 0.0
    """The window that the relay asked its agents to spread over."""
    lived_seconds: float = 0.0
    """From WELCOME until the end; 0 for an attempt that failed."""

    @property
    def is_refusal(self) -> bool:
        """Whether the relay does not want this agent as it is."""
        return self.close_code in _REFUSALS

    @property
    def is_invitation(self) -> bool:
        """Whether the relay ended the tunnel in order and wants another one."""
        return self.close_code in _INVITATIONS


class Retry:
    """Counts failures in a row and turns each ending into a wait."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0

    def reset(self) -> None:
        """Something changed that makes the failures so far say nothing about the next attempt, such as a new token."""
        self._failures = 0

    def wait_seconds(self, ending: Ending) -> float:
        """How long to wait before the next attempt."""
        if ending.lived_seconds >= STEADY_SECONDS:
            self._failures = 0
        if ending.is_invitation and ending.retry_after_seconds > 0:
            return self._backoff.within(ending.retry_after_seconds)
        # REPLACED says that this agent has another tunnel to the same process: hurrying would only replace that one.
        if ending.is_refusal or ending.close_code == CloseCode.REPLACED:
            return self._backoff.after_refusal()
        self._failures += 1
        # A relay in trouble may name a window too; it never shortens the wait that its failures have earned.
        window = self._backoff.within(ending.retry_after_seconds)
        return max(window, self._backoff.after_failure(self._failures))


def other_addresses(main: str, reached: str, processes: Iterable[RelayProcess]) -> tuple[str, ...]:
    """The addresses that need a link of their own, beside the one to `main` that reached process `reached`.

    A relay whose processes share one address is left at that: the kernel decides which of them a new connection
    reaches, and dialling until all were met would be guessing.
    """
    return tuple(
        dict.fromkeys(process.address for process in processes if process.id != reached and process.address != main)
    )
