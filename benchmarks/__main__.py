"""`python -m benchmarks`: figures beside nginx doing the same job; `python -m benchmarks profile`: where time goes."""

import argparse
import datetime as dt
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks import machine, profiling, report
from benchmarks.peers import PEERS, Relay
from benchmarks.placement import Placement, Role
from benchmarks.processes import BenchmarkError, Ground
from benchmarks.rounds import Bench
from benchmarks.scenarios import SCENARIOS, Options, Run
from benchmarks.target import start_target

PROFILE = "profile"
PROFILE_ROWS = 30
RESULTS = Path(__file__).with_name("results")
MIB = 1 << 20
REPORT_COLUMNS = 160
"""Width of tables in a file or a pipe."""
QUIET_LOAD = 0.3
"""A load average above this before the run means that somebody else uses the machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 1 when something did not come up."""
    chosen = _parser().parse_args(arguments)
    options = Options(
        rounds=chosen.rounds,
        seconds=chosen.seconds,
        bulk_bytes=chosen.mib * MIB,
        tunnels=chosen.tunnels,
        patience_seconds=chosen.patience,
    )
    console = Console(width=None if sys.stdout.isatty() else REPORT_COLUMNS)
    try:
        if chosen.what == [PROFILE]:
            _profile(console, options, connections=chosen.connections, role=chosen.role)
        else:
            _measure(console, options, chosen)
    except BenchmarkError as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what", nargs="*", metavar="SCENARIO", help=f"{', '.join(SCENARIOS)} (default: all), or {PROFILE} alone"
    )
    parser.add_argument("--rounds", type=_positive, default=5, help="rounds of each scenario (default: %(default)s)")
    parser.add_argument("--seconds", type=_positive, default=5, help="length of a round of requests, or of a profile")
    parser.add_argument("--mib", type=_positive, default=1024, help="size of a bulk body (default: %(default)s)")
    parser.add_argument("--tunnels", type=_positive, default=1000, help="idle tunnels (default: %(default)s)")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds that each round may wait for quiet")
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peer", action="append", choices=names, help="only these; repeatable (default: all)")
    parser.add_argument("--connections", type=_positive, default=32, help="of a profile (default: %(default)s)")
    parser.add_argument("--role", choices=("front", "back"), default="front", help="profile the relay or the agent")
    parser.add_argument("--no-result", action="store_true", help="only print, write no file to benchmarks/results")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _measure(console: Console, options: Options, chosen: argparse.Namespace) -> None:
    unknown = sorted(set(chosen.what) - set(SCENARIOS))
    if unknown:
        raise BenchmarkError(f"there is no scenario {unknown[0]}; there are {', '.join(SCENARIOS)}, {PROFILE}")
    scenarios = [scenario for name in chosen.what or SCENARIOS for scenario in SCENARIOS[name]]
    peers = [peer() for peer in PEERS if chosen.peer is None or peer.name in chosen.peer]
    facts, taken_at = (
        machine.facts(),
        dt.datetime.now(dt.UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z",
    )
    console.print(*(f"{name}: {value}" for name, value in facts.items()), sep="\n", markup=False, highlight=False)
    if os.getloadavg()[0] > QUIET_LOAD:
        console.print("This machine is not quiet: read ratios and CPU time, not throughput.")
    with _ground() as ground, console.status("starting") as status:
        target = start_target(ground, bulk_bytes=options.bulk_bytes)
        live = [peer.start(ground, target) for peer in peers]
        bench = Bench(ground=ground, target=target, peers=peers, live=live, options=options, say=status.update)
        results = [bench.run(scenario) for scenario in scenarios]
    facts["load_average_after"] = os.getloadavg()[0]
    report.show(results, console)
    if not chosen.no_result:
        text = report.as_json(results, machine=facts, options=options, taken_at=taken_at)
        console.print(f"written: {report.write(text, folder=RESULTS, taken_at=taken_at)}")


def _profile(console: Console, options: Options, *, connections: int, role: Role) -> None:
    with _ground() as ground, console.status("sampling"):
        target = start_target(ground, bulk_bytes=MIB)
        run = Run(live=Relay().start(ground, target), target=target, ground=ground, options=options)
        profile = profiling.record(run, role=role, connections=connections, output=ground.folder / "samples")
    profiling.show_profile(profile, console, title=f"{role}, connections: {connections}", count=PROFILE_ROWS)


@contextmanager
def _ground() -> Iterator[Ground]:
    # Thousands of idle tunnels need as many descriptors; the hard limit is what the system allows us.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, ExitStack() as stack:
        yield Ground(Path(folder), Placement.here(), stack)


if __name__ == "__main__":
    # Ended by `kill`, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
