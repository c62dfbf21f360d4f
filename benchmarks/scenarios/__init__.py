"""Scenarios: what is measured, one round at a time."""

from collections.abc import Sequence

from benchmarks.scenarios.base import SHARES, Measure, Options, Run, Scenario
from benchmarks.scenarios.beside import Beside
from benchmarks.scenarios.bulk import Bulk
from benchmarks.scenarios.connect import Connect
from benchmarks.scenarios.growth import Growth, chosen_growth
from benchmarks.scenarios.handshakes import Handshakes
from benchmarks.scenarios.idle import Idle
from benchmarks.scenarios.requests import SIZES, Requests, chosen_requests
from benchmarks.scenarios.slow_link import SlowLink
from benchmarks.scenarios.storm import Storm
from benchmarks.scenarios.streams import Streams
from benchmarks.scenarios.websockets import WebSockets

SCENARIOS: dict[str, tuple[Scenario, ...]] = {
    "requests": tuple(chosen_requests(Options())),
    "bulk": (Bulk(direction="down"), Bulk(direction="up")),
    "beside": (Beside(),),
    "handshakes": (Handshakes(kind="flood"), Handshakes(kind="full"), Handshakes(kind="resumed")),
    "connect": (Connect(),),
    "streams": (Streams(),),
    "websockets": (WebSockets(),),
    "slow-link": (SlowLink(),),
    "idle": (Idle(),),
    "storm": (Storm(),),
    "growth": tuple(chosen_growth(Options())),
}
"""What the command line calls them."""


def chosen_scenarios(names: Sequence[str], options: Options) -> list[Scenario]:
    """The scenarios of these names, as the options want them. Raises KeyError for an unknown name."""
    own: dict[str, Sequence[Scenario]] = {"requests": chosen_requests(options), "growth": chosen_growth(options)}
    if options.sockets:
        own["websockets"] = [WebSockets(sockets=count) for count in options.sockets]
    if options.round_trips:
        own["slow-link"] = [SlowLink(round_trip=milliseconds) for milliseconds in options.round_trips]
    if options.tunnels:
        own["idle"] = [Idle(tunnels=count) for count in options.tunnels]
    if options.agents:
        own["storm"] = [Storm(agents=count) for count in options.agents]
    return [scenario for name in names for scenario in own.get(name, SCENARIOS[name])]


__all__ = [
    "SCENARIOS",
    "SHARES",
    "SIZES",
    "Beside",
    "Bulk",
    "Connect",
    "Growth",
    "Handshakes",
    "Idle",
    "Measure",
    "Options",
    "Requests",
    "Run",
    "Scenario",
    "SlowLink",
    "Storm",
    "Streams",
    "WebSockets",
    "chosen_scenarios",
]
