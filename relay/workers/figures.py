"""One view of the metrics of several processes: what counts is added up, what is measured is shown for each."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

Key = tuple[str, tuple[tuple[str, str], ...]]

WORKER_LABEL = "worker"


class Merged(Collector):
    """The families of several expositions in one."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}
        self._values: dict[str, dict[Key, Sample]] = {}

    def add(self, exposition: str, *, worker: int | None) -> None:
        """Adds one process' metrics in Prometheus' text format. `worker` None: it has ended, only its counts stay."""
        for family in text_string_to_metric_families(exposition):
            is_gauge = family.type == "gauge"
            if is_gauge and worker is None:
                continue
            self._families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            values = self._values.setdefault(family.name, {})
            for sample in family.samples:
                labels = {**sample.labels, WORKER_LABEL: str(worker)} if is_gauge else sample.labels
                key = (sample.name, tuple(sorted(labels.items())))
                before = values[key].value if key in values else 0.0
                values[key] = Sample(sample.name, labels, before + sample.value)

    def gauge(self, name: str, text: str, values: Mapping[str, float]) -> None:
        """Adds a gauge of the supervisor's own; `values` by worker."""
        self._families[name] = Metric(name, text, "gauge")
        self._values[name] = {
            (name, ((WORKER_LABEL, worker),)): Sample(name, {WORKER_LABEL: worker}, value)
            for worker, value in values.items()
        }

    def collect(self) -> Iterable[Metric]:
        """All families, for prometheus-client."""
        for name, family in self._families.items():
            family.samples = list(self._values[name].values())
            yield family

    def exposition(self) -> bytes:
        """Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)
