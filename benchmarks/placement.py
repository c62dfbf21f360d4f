"""Which core each process runs on."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Self

Role = Literal["front", "back", "target", "load"]
"""`front` faces visitors (the relay), `back` faces the target (the agent)."""
ROLES: tuple[Role, ...] = ("front", "back", "target", "load")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A core for each role."""

    front: int
    back: int
    target: int
    load: int

    @classmethod
    def on(cls, cores: Sequence[int]) -> Self:
        """Spreads the roles: what faces visitors always has a core to itself, unless there is only one."""
        first, *rest = cores
        if not rest:
            return cls(front=first, back=first, target=first, load=first)
        # With too few cores the load generator, which is C and light, shares before the agent does.
        back, target, load = (rest[min(index, len(rest) - 1)] for index in range(3))
        return cls(front=first, back=back, target=target, load=load)

    @classmethod
    def here(cls) -> Self:
        """The placement for the cores that this process may use."""
        return cls.on(sorted(os.sched_getaffinity(0)))

    def core(self, role: Role) -> int:
        """The core of a role."""
        return int(getattr(self, role))

    def sharing(self, role: Role) -> tuple[Role, ...]:
        """The roles on the same core, this one included."""
        return tuple(other for other in ROLES if self.core(other) == self.core(role))

    @contextmanager
    def pinned(self, role: Role) -> Iterator[None]:
        """Processes started inside run on the role's core from their first instruction."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.core(role)})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
