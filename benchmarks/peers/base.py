"""What a peer is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.peers.site import Site
from benchmarks.placement import Placement
from benchmarks.processes import Ground
from benchmarks.target import Target
from benchmarks.visit import Resource, Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePeer:
    """A running peer."""

    name: str
    visits: Mapping[Resource, Visit]
    """How visitors reach what the target has."""
    roles: Mapping[str, Sequence[int]]
    """Process ids by role: `front` faces visitors, `back` faces the target."""
    placement: Placement
    """Where its processes, the target and the load run while it is measured."""
    note: str = ""
    """What a reader of its column must know: what it does less, or more, than the others."""
    version: str = ""
    """Of its program, where it is not one of this project's or of the machine's."""
    hold: Sequence[str] | None = None
    """A program that keeps `--count N` idle tunnels (or what comes nearest) open; None where there is no such thing."""
    raw: Mapping[Resource, Visit] = field(default_factory=dict)
    """The same by bytes alone: nothing on the way reads HTTP. Empty where the peer has no such way."""
    takes_link: bool = False
    """Whether the link of a ground comes between its front and its back."""
    site: Site | None = None
    """Where scenarios can fill a store and start the front again; None for all but our own relay with one worker."""


class Peer(ABC):
    """One way from a visitor to the target."""

    name: str
    """Short; stands in tables and results."""

    @abstractmethod
    def start(self, ground: Ground, target: Target) -> LivePeer:
        """Brings it up and returns once a visitor would be answered; it ends with the ground.

        Raises:
            BenchmarkError: it did not come up.
        """
