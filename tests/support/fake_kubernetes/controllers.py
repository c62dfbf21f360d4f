"""What runs beside the API server in a cluster, as far as tests need it.

Each controller looks at the objects and writes what is missing. They run after each write, before the next request, so
that nothing has to be waited for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.fake_kubernetes.definitions import Definitions
from tests.support.fake_kubernetes.deployments import Deployments
from tests.support.fake_kubernetes.endpoint_slices import EndpointSlices
from tests.support.fake_kubernetes.garbage import Garbage
from tests.support.fake_kubernetes.kubelet import Kubelet
from tests.support.fake_kubernetes.registry import Registry

MOST_ROUNDS = 100
"""A chain of owners is a handful long; more rounds mean that two controllers fight."""


@dataclass(slots=True)
class Controllers:
    """All of them."""

    registry: Registry
    kubelet: Kubelet
    deployments: Deployments = field(init=False)
    _runs: tuple[Callable[[], None], ...] = field(init=False)
    paused: bool = False
    """While they are, nothing but clients writes."""

    def __post_init__(self) -> None:
        self.deployments = Deployments(self.registry)
        definitions, garbage = Definitions(self.registry), Garbage(self.registry)
        slices = EndpointSlices(self.registry)
        self.registry.after.append(definitions.changed)
        self._runs = (definitions.run, garbage.run, self.deployments.run, self.kubelet.run, slices.run)

    def settle(self) -> None:
        """Runs them until none has anything to do."""
        store = self.registry.store
        with store.lock:
            for _ in range(MOST_ROUNDS):
                before = store.version
                if self.paused:
                    return
                for run in self._runs:
                    run()
                if store.version == before:
                    return
        raise AssertionError("the controllers of the fake Kubernetes do not come to rest")
