"""What a worker is told at its start: which slot it fills, with which sockets, beside which other processes."""

import json
from dataclasses import asdict, dataclass
from typing import Self

from relay.mux import RelayProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The first line that the supervisor sends. Sockets are inherited file descriptors that listen already."""

    slot: int
    """From 0 on; shown as `worker` in logs and metrics."""
    process_id: str
    """The slot's name in WELCOME. A successor has its predecessor's: to agents it is the same place."""
    processes: tuple[RelayProcess, ...]
    """All slots, for WELCOME."""
    public: tuple[int, ...]
    tunnels: tuple[int, ...]
    held: bool
    """Take tunnels only, until the command `open`: the predecessor still serves visitors."""

    def encode(self) -> str:
        """One line of JSON, without its end."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, line: str) -> Self:
        """The assignment that `encode` wrote."""
        fields = json.loads(line)
        return cls(
            slot=fields["slot"],
            process_id=fields["process_id"],
            processes=tuple(RelayProcess(**process) for process in fields["processes"]),
            public=tuple(fields["public"]),
            tunnels=tuple(fields["tunnels"]),
            held=fields["held"],
        )
