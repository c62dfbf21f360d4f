"""CustomResourceDefinitions become kinds, and objects of kinds that are gone go."""

from dataclasses import dataclass

from tests.support.fake_kubernetes.kinds import CRDS, Kind
from tests.support.fake_kubernetes.registry import Registry
from tests.support.fake_kubernetes.values import condition, with_times
from tests.support.fake_kubernetes.wire import Object


@dataclass(slots=True)
class Definitions:
    """Keeps the kinds as the definitions say."""

    registry: Registry

    def changed(self, kind: Kind, value: Object) -> None:
        """Told of each write, so that what a definition defines is there with its answer."""
        if kind is not CRDS:
            return
        if self.registry.store.get(CRDS, "", value["metadata"]["name"]) is not None:
            self.registry.kinds.define(value)
            return
        for gone in self.registry.kinds.forget(value["metadata"]["name"]):
            for item in self.registry.store.all(gone):
                self.registry.store.remove(gone, item)

    def run(self) -> None:
        """Says of each that it is served."""
        for crd in self.registry.store.all(CRDS):
            if "conditions" in crd.get("status", {}):
                continue
            told = [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ]
            status = {
                "acceptedNames": crd["spec"]["names"],
                "conditions": with_times(told, (), self.registry.time()),
                "storedVersions": [item["name"] for item in crd["spec"]["versions"] if item["storage"]],
            }
            self.registry.put(CRDS, crd | {"status": status})
