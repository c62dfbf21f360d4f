"""One stream over a link with delay."""

import json
import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from benchmarks.load import TIMED_OUT, download_command, parse_curl
from benchmarks.peers import LivePeer
from benchmarks.processes import BenchmarkError
from benchmarks.scenarios.base import SHARES, Measure, Run, Scenario, explain_limit, finish_load, shares
from benchmarks.visit import Visit

CORE = 50
"""Round trip in milliseconds, unless the options say otherwise."""
SECONDS = 3
"""At least, of a download: windows grow for a second or so, and that is part of the figure."""
FIRST_BYTES = 5
"""Requests on new connections of visitors in each round."""
NEAR = 0.8
"""A peer that carries so much of what the link alone does tells of the link."""


class SlowLink(Scenario):
    """A download, and the time to the first byte of small answers.

    The link is between what faces visitors and what faces the target; without a relay, between visitor and target.
    """

    measures = (
        Measure(key="megabytes_per_second", label="one download, MB/s", digits=1, more_is_better=True),
        Measure(key="first_byte_trips", label="first byte on a new visitor's connection, round trips", digits=2),
        Measure(key="link_megabytes_per_second", label="the link alone, MB/s", compared=False),
        *SHARES,
    )
    own: ClassVar[bool] = True
    family = "slow-link"
    axis = "round trip, ms"

    def __init__(self, *, round_trip: int = CORE, seconds: int = SECONDS) -> None:
        """`seconds`: that a download takes at least."""
        self._seconds = seconds
        self.delay_seconds = round_trip / 2000
        self.name = f"slow-link-{round_trip}"
        self.variant = str(round_trip)
        self.title = f"a link with a round trip of {round_trip} ms between front and back"

    def suits(self, live: LivePeer) -> bool:
        """Only where the link comes in between."""
        return live.takes_link

    def prepare(self, run: Run) -> LivePeer:
        """The peer as it is; what its links cost counts as load."""
        return replace(run.live, roles={**run.live.roles, "load": run.ground.link_pids})

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """The link alone, the download, then the small requests; shares are those of the download."""
        seconds = max(self._seconds, run.options.seconds)
        alone = Visit(url=f"http://127.0.0.1:{run.ground.far(run.target.port)}/endless")
        link = _download(run, alone, seconds=self._seconds)
        moved, use = run.metered(lambda: _download(run, run.live.visits["endless"], seconds=seconds))
        if not explain_limit(run, use, "megabytes_per_second") and "front" in use.spent and moved > NEAR * link:
            run.remark(f"the link alone carried {link:,.0f} MB/s: the peer was not the bottleneck")
            run.load_bound.add("megabytes_per_second")
        waits = [_first_byte_seconds(run) for _ in range(FIRST_BYTES)]
        return {
            "megabytes_per_second": moved,
            "first_byte_trips": statistics.median(waits) / (2 * self.delay_seconds),
            "link_megabytes_per_second": link,
            **shares(use),
        }


def _download(run: Run, visit: Visit, *, seconds: int) -> float:
    """Megabytes per second of a download that is cut off."""
    process = run.start_load(download_command(visit, max_seconds=seconds))
    return parse_curl(finish_load(process, accept=(TIMED_OUT,))).megabytes_per_second


def _first_byte_seconds(run: Run) -> float:
    """From the request to the first byte of its answer, on a connection that is there already."""
    output = run.load(download_command(run.live.visits["small"]), seconds=SECONDS)
    values = json.loads(output)
    if values["http_code"] != 200:  # noqa: PLR2004 - HTTP status
        raise BenchmarkError(f"the small answer had status {values['http_code']}")
    return float(values["time_starttransfer"]) - float(values["time_pretransfer"])
