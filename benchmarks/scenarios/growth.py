"""What a request costs among few and many workspaces and clusters."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from benchmarks.agents import start_fleet
from benchmarks.filling import add_workspaces
from benchmarks.peers import LivePeer
from benchmarks.peers.site import CLUSTER, Site
from benchmarks.processes import BenchmarkError
from benchmarks.scenarios.base import SHARES, Measure, Options, Run, Scenario, explain_limit, shares

Kind = Literal["workspaces", "clusters"]
COUNTS: dict[Kind, tuple[int, ...]] = {"workspaces": (10, 1_000, 100_000), "clusters": (1, 100, 1_000)}
"""Measured unless the options say otherwise."""
WORKSPACES = 1_000
"""Spread over the clusters, however many these are: a request for another host than the last costs a stream."""
CONNECTIONS = 32
SECONDS = 2
"""For each half of a round, where rounds are not shorter: CPU time per request needs no longer."""
MAY_FAIL = 0.01


class Growth(Scenario):
    """Requests for one host, then for hosts picked at random among all, on connections that are kept alive."""

    measures = (
        Measure(key="front_microseconds", label="CPU of the front, us/request, one host", digits=1),
        Measure(key="front_microseconds_spread", label="CPU of the front, us/request, all hosts", digits=1),
        Measure(key="requests_per_second", label="requests/s, one host", compared=False),
        Measure(key="requests_per_second_spread", label="requests/s, all hosts", compared=False),
        *SHARES,
    )
    own: ClassVar[bool] = True

    def __init__(self, *, kind: Kind, count: int) -> None:
        self.kind = kind
        self.count = count
        self.family = f"growth-{kind}"
        self.name = f"{self.family}-{count}"
        self.variant, self.axis = str(count), kind
        self.title = f"12-byte answers on {CONNECTIONS} connections, {kind}: {count:,}"

    def suits(self, live: LivePeer) -> bool:
        """Only our own relay has a store."""
        return live.site is not None

    def prepare(self, run: Run) -> LivePeer:
        """A relay with so many workspaces, or with so many clusters and agents."""
        site = _site(run.live)
        if self.kind == "workspaces":
            live, count = run.live, self.count
            clusters: Sequence[str] = [CLUSTER]
        else:
            fleet = start_fleet(run.ground, site, run.target, count=self.count)
            fleet.wait_all()
            live = replace(run.live, roles={**run.live.roles, "back": fleet.pids})
            clusters, count = fleet.names, WORKSPACES
        names = [f"w{number}" for number in range(count)]
        placed = [(name, clusters[number % len(clusters)]) for number, name in enumerate(names)]
        add_workspaces(site, placed, port=run.target.port)
        site.write_hosts(_places(site, "all"), names)
        site.write_hosts(_places(site, "one"), names[:1])
        return live

    def warm_up(self, run: Run) -> None:
        """Both halves once."""
        for which in ("one", "all"):
            run.load(_visitors(_site(run.live), which, seconds=1), seconds=1)

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """Both halves; shares are those of the second."""
        site, seconds = _site(run.live), min(SECONDS, run.options.seconds)
        values: dict[str, float | None] = {}
        for which, suffix in (("one", ""), ("all", "_spread")):
            command = _visitors(site, which, seconds=seconds)
            output, use = run.metered(partial(run.load, command, seconds=seconds))
            requests, elapsed = parse_visitors(output)
            values[f"front_microseconds{suffix}"] = 1e6 * use.spent["front"] / requests
            values[f"requests_per_second{suffix}"] = requests / elapsed
            explain_limit(run, use, f"requests_per_second{suffix}")
            values |= shares(use)
        return values


def chosen_growth(options: Options) -> list[Growth]:
    """All counts, or those of the options."""
    chosen: dict[Kind, tuple[int, ...]] = {"workspaces": options.workspaces, "clusters": options.clusters}
    given = {kind: counts for kind, counts in chosen.items() if counts} or COUNTS
    return [Growth(kind=kind, count=count) for kind, counts in given.items() for count in counts]


def parse_visitors(output: str) -> tuple[int, float]:
    """Requests and seconds that `benchmarks.visitors` prints. Raises BenchmarkError when too many failed."""
    values = json.loads(output)
    if not values["requests"] or values["failed"] > MAY_FAIL * values["requests"]:
        raise BenchmarkError(f"{values['failed']} requests failed beside {values['requests']} good ones")
    return values["requests"], values["seconds"]


def _site(live: LivePeer) -> Site:
    if live.site is None:
        raise BenchmarkError(f"{live.name} has no store")
    return live.site


def _places(site: Site, which: str) -> Path:
    return site.config.with_name(f"hosts-{which}.json")


def _visitors(site: Site, which: str, *, seconds: int) -> list[str]:
    return [
        *(sys.executable, "-m", "benchmarks.visitors", "--place", str(_places(site, which))),
        *("--ca-file", str(site.ca_file), "--connections", str(CONNECTIONS), "--seconds", str(seconds)),
    ]
