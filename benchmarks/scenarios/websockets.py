"""Many WebSockets with small messages."""

from collections.abc import Mapping
from typing import ClassVar

from benchmarks.cpu import tree_resident_bytes
from benchmarks.peers import LivePeer
from benchmarks.processes import need_files
from benchmarks.scenarios.base import SHARES, Measure, Run, Scenario, explain_limit, shares
from benchmarks.scenarios.driven import driven

CORE = 1000
"""Unless the options say otherwise; a tunnel carries 1,024 streams."""
FIRST_SHARE = 0.2
"""Part of them opened before the first reading, so that what is paid once (caches, arenas) is not counted."""
AT_ONCE = 32


class WebSockets(Scenario):
    """Messages of 12 bytes that a target sends back, some under way at a time, on one WebSocket after the other."""

    measures = (
        Measure(key="messages_per_second", label=f"messages/s, {AT_ONCE} under way", more_is_better=True),
        Measure(key="front_microseconds", label="CPU of the front, us/message there and back", digits=1),
        Measure(key="back_microseconds", label="CPU of the back, us/message there and back", digits=1),
        Measure(key="front_kib", label="KiB resident in the front, per WebSocket", digits=1),
        Measure(key="back_kib", label="KiB resident in the back, per WebSocket", digits=1),
        *SHARES,
    )
    fresh: ClassVar[bool] = True
    family = "websockets"
    axis = "WebSockets"

    def __init__(self, *, sockets: int = CORE) -> None:
        self.sockets = sockets
        self.name = f"websockets-{sockets}"
        self.variant = str(sockets)
        self.title = f"{sockets:,} WebSockets with echoed messages of 12 bytes"

    def suits(self, live: LivePeer) -> bool:
        """Where there is a way to the echo."""
        return "echo" in live.visits

    def warm_up(self, run: Run) -> None:
        """Nothing: the first part of the WebSockets does it."""

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """Opens some, then the others, then sends."""
        need_files(self.sockets, what=f"{self.sockets:,} WebSockets")
        first = max(1, round(self.sockets * FIRST_SHARE))
        with driven(run, run.live.visits["echo"], at_once=AT_ONCE, websocket=True) as driver:
            driver.open(first)
            before = _resident_kib(run)
            driver.open(self.sockets - first)
            after = _resident_kib(run)
            trips, use = driver.go(run.options.seconds)
        explain_limit(run, use, "messages_per_second")
        values: dict[str, float | None] = {"messages_per_second": trips.per_second}
        for role in run.live.roles:
            values[f"{role}_microseconds"] = 1e6 * use.spent[role] / trips.count
            values[f"{role}_kib"] = (after[role] - before[role]) / (self.sockets - first)
        return {**values, **shares(use)}


def _resident_kib(run: Run) -> dict[str, float]:
    return {role: tree_resident_bytes(pids) / 1024 for role, pids in run.live.roles.items()}
