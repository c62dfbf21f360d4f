"""How often one address may try to sign in."""

from collections import OrderedDict

import trio

from relay.auth import network_of
from relay.errors import RateLimitedError

ATTEMPTS = 60
"""Per window; a sign-in at GitHub is two. An office behind one address signs in more often than one person, a guesser
far more often still. What is guessed has 178 bits: the limit keeps GitHub and the database from being asked in vain."""
WINDOW_SECONDS = 60.0
ADDRESSES = 10_000
"""Addresses remembered; the one that was quiet longest goes first."""


class AddressLimit:
    """Counts per address, in windows of a minute."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, address: str) -> None:
        """Counts one attempt. Raises RateLimitedError when there were too many."""
        now = trio.current_time()
        network = network_of(address)
        began, count = self._counts.pop(network, (now, 0))
        if now - began >= WINDOW_SECONDS:
            began, count = now, 0
        self._counts[network] = (began, count + 1)
        if len(self._counts) > ADDRESSES:
            self._counts.popitem(last=False)
        if count >= ATTEMPTS:
            raise RateLimitedError(
                "There were too many attempts to sign in from your address. Please wait a minute.",
                retry_after_seconds=began + WINDOW_SECONDS - now,
            )
