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
    """A core for each role, several for a front of several workers."""

    front: int
    back: int
    target: int
    load: int
    more_fronts: tuple[int, ...] = ()
    """Further cores of the front, when it has several workers."""

    @classmethod
    def on(cls, cores: Sequence[int], *, fronts: int = 1) -> Self:
        """Spreads the roles: what faces visitors has `fronts` cores to itself, as far as there are so many.

        The last core is never the front's alone; on it, several workers share with the others.
        """
        first, *rest = cores
        if not rest:
            return cls(front=first, back=first, target=first, load=first)
        others = rest[fronts - 1 :] or rest[-1:]
        # With too few cores the load generator, which is C and light, shares before the agent does.
        back, target, load = (others[min(index, len(others) - 1)] for index in range(3))
        return cls(front=first, back=back, target=target, load=load, more_fronts=tuple(rest[: fronts - 1]))

    @classmethod
    def here(cls, *, fronts: int = 1) -> Self:
        """The placement for the cores that this process may use."""
        return cls.on(sorted(os.sched_getaffinity(0)), fronts=fronts)

    def cores(self, role: Role) -> frozenset[int]:
        """The cores of a role: one, but for a front of several workers."""
        return frozenset({self.front, *self.more_fronts} if role == "front" else {int(getattr(self, role))})

    def sharing(self, role: Role) -> tuple[Role, ...]:
        """The roles on the same cores, this one included."""
        return tuple(other for other in ROLES if self.cores(other) & self.cores(role))

    def capacity(self, role: Role) -> int:
        """How many cores the roles that share with this one have together."""
        return len(frozenset().union(*(self.cores(other) for other in self.sharing(role))))

    @contextmanager
    def pinned(self, role: Role) -> Iterator[None]:
        """Processes started inside run on the role's cores from their first instruction."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.cores(role))
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
