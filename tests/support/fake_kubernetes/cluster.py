"""The cluster behind the API, and its objects as a test reads and writes them: at once, and with all rights."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.support.fake_kubernetes import patches
from tests.support.fake_kubernetes.access import Access, Tokens
from tests.support.fake_kubernetes.controllers import Controllers
from tests.support.fake_kubernetes.endpoints import Endpoints
from tests.support.fake_kubernetes.fields import How
from tests.support.fake_kubernetes.gateway import Call, Gateway
from tests.support.fake_kubernetes.kinds import Kind, Kinds
from tests.support.fake_kubernetes.kubelet import NODE, Kubelet
from tests.support.fake_kubernetes.logs import Logs
from tests.support.fake_kubernetes.registry import Registry
from tests.support.fake_kubernetes.selectors import label_query
from tests.support.fake_kubernetes.store import Store
from tests.support.fake_kubernetes.troubles import Troubles
from tests.support.fake_kubernetes.watching import Watches
from tests.support.fake_kubernetes.wire import Object

WAIT_SECONDS = 30.0
MANAGER = How(manager="test")
DEFAULT = "default"
_Found = TypeVar("_Found")


Calls = list[Call]


class Cluster:
    """Its methods may be called from any thread; a kind is named as `Deployment` or `deployments`.

    Objects that are handed out are copies. What the API refuses is raised as Refusal, with its Status.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.store = Store()
        self.kinds = Kinds()
        self.registry = Registry(self.store, self.kinds, clock)
        self.logs = Logs(self.store.changed, clock)
        self.kubelet = Kubelet(self.registry, self.logs)
        self.controllers = Controllers(self.registry, self.kubelet)
        self.tokens = Tokens()
        self.access = Access(self.store)
        self.watches = Watches(self.store)
        self.troubles = Troubles()
        endpoints = Endpoints(self.registry, self.watches, self.logs, self.access, self.tokens)
        self.gateway = Gateway(endpoints, self.controllers, self.troubles)
        for name in (DEFAULT, "kube-system", "kube-public"):
            self.add_namespace(name)
        self.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})

    # --- objects ----------------------------------------------------------------------------------------------------

    def create(self, value: Object, *, namespace: str = DEFAULT) -> Object:
        """Creates an object; `namespace` counts where the object names none."""
        with self._writing():
            kind = self.kinds.of(value)
            made = self.registry.create(kind, _home(kind, value, namespace), copy.deepcopy(value), MANAGER)
            name = made["metadata"]["name"]
        return self.find(kind.name, name, _home(kind, made, namespace), kind.api_version) or made

    def create_all(self, manifests: str | Path, *, namespace: str = DEFAULT) -> list[Object]:
        """Creates the objects of YAML documents, or of a file of them."""
        text = manifests.read_text() if isinstance(manifests, Path) else manifests
        return [self.create(value, namespace=namespace) for value in yaml.safe_load_all(text) if value]

    def add_namespace(self, name: str) -> Object:
        """Creates a namespace, unless it is there."""
        found = self.find("Namespace", name)
        return found or self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def get(self, kind: str, name: str, namespace: str = DEFAULT, api_version: str | None = None) -> Object:
        """One object. Raises Refusal."""
        with self.store.lock:
            found = self._kind(kind, api_version)
            return copy.deepcopy(self.registry.require(found, namespace, name))

    def find(self, kind: str, name: str, namespace: str = DEFAULT, api_version: str | None = None) -> Object | None:
        """One object, if it is there."""
        with self.store.lock:
            return copy.deepcopy(self.store.get(self._kind(kind, api_version), namespace, name))

    def list(self, kind: str, namespace: str = "", *, labels: str = "") -> list[Object]:
        """Objects of a kind, in all namespaces unless one is named, with labels as a label selector says."""
        with self.store.lock:
            matches = label_query(labels)
            found = self.store.all(self._kind(kind), namespace)
            return [copy.deepcopy(value) for value in found if matches(value)]

    def patch(
        self,
        kind: str,
        name: str,
        change: Object | Callable[[Object], Any],
        namespace: str = DEFAULT,
        *,
        subresource: str = "",
    ) -> Object:
        """Changes an object by a merge patch, or by a function that gets a copy and gives the new object."""
        apply = change if callable(change) else lambda value: patches.merge_patch(value, change)
        with self._writing():
            how = How(manager=MANAGER.manager, subresource=subresource)
            return copy.deepcopy(self.registry.patch(self._kind(kind), namespace, name, apply, how=how))

    def delete(self, kind: str, name: str, namespace: str = DEFAULT, *, propagation: str = "Background") -> None:
        """Deletes an object as a client does: finalizers hold it."""
        with self._writing():
            self.registry.delete(self._kind(kind), namespace, name, {"propagationPolicy": propagation})

    def wait_for(self, check: Callable[[], _Found | None], what: str, *, seconds: float = WAIT_SECONDS) -> _Found:
        """Waits until `check` gives something true; it runs with the lock held. Raises AssertionError."""
        with self.store.changed:
            found = self.store.changed.wait_for(check, seconds)
            if not found:
                raise AssertionError(f"the fake Kubernetes waited {seconds} s for {what}")
            return found

    # --- requests ---------------------------------------------------------------------------------------------------

    @property
    def requests(self) -> Calls:
        """Those that came until now, in the order of their answers."""
        with self.store.lock:
            return [*self.gateway.calls]

    def calls(
        self, *, verb: str | None = None, path: str = "", method: str | None = None, user: str | None = None
    ) -> Calls:
        """Those with a verb (`list`, `watch`), a part of a path, a method, a user."""
        return [
            call
            for call in self.requests
            if verb in {None, call.verb}
            and method in {None, call.method}
            and user in {None, call.user}
            and path in call.path
        ]

    def open_calls(self, *, verb: str | None = None, path: str = "") -> Calls:
        """Watches and followed logs that are going on."""
        return [call for call in self.calls(verb=verb, path=path) if call.open]

    def wait_for_open_calls(self, count: int, *, verb: str | None = None, path: str = "") -> Calls:
        """Waits until so many are going on, no more and no less."""

        def exactly() -> bool:
            return len(self.open_calls(verb=verb, path=path)) == count

        self.wait_for(exactly, f"{count} open calls of {verb or 'any verb'} {path}")
        return self.open_calls(verb=verb, path=path)

    # --- watches ----------------------------------------------------------------------------------------------------

    def send_bookmarks(self) -> None:
        """Sends a bookmark to each watch that asked for them."""
        self.watches.bookmark()

    def expire_watches(self) -> None:
        """Ends all watches with 410 Gone in their streams."""
        self.watches.expire()

    def forget_history(self) -> None:
        """Forgets all changes until now: watches and lists that go on from them are answered 410 Gone."""
        with self.store.lock:
            self.store.forget()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _kind(self, name: str, api_version: str | None = None) -> Kind:
        return self.kinds.named(name, api_version)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self.store.lock:
            yield
            self.controllers.settle()


def _home(kind: Kind, value: Object, namespace: str) -> str:
    return str((value.get("metadata") or {}).get("namespace", namespace)) if kind.namespaced else ""
