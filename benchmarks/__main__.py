"""`python -m benchmarks`: figures beside nginx doing the same job; `python -m benchmarks profile`: where time goes."""

import argparse
import datetime as dt
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks import compare, document, draw, machine, profiling, report
from benchmarks.document import Document
from benchmarks.options import MIB, PROFILE, options_of, parser, peers_of
from benchmarks.peers import YARDSTICK, LivePeer, Peer, Relay
from benchmarks.placement import Placement, Role
from benchmarks.processes import BenchmarkError, Ground
from benchmarks.progress import watching
from benchmarks.result import Result
from benchmarks.rounds import Bench
from benchmarks.scenarios import SCENARIOS, Options, Run, Scenario, chosen_scenarios
from benchmarks.target import start_target

PROFILE_ROWS = 30
PROFILE_CONNECTIONS = 32
RESULTS = Path(__file__).with_name("results")
QUIET_LOAD = 0.3
"""A load average above this before the run means that somebody else uses the machine."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
COMMANDS = {"compare": compare.main, "draw": draw.main}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 1 when something did not come up."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in COMMANDS:
            COMMANDS[words[0]](words[1:])
            return 0
        chosen = parser(__doc__).parse_args(words)
        if chosen.what == [PROFILE]:
            connections = (chosen.connections or [PROFILE_CONNECTIONS])[0]
            _profile(_console(1), options_of(chosen), connections=connections, role=chosen.role)
        else:
            return _measure(options_of(chosen), chosen)
    except BenchmarkError as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return 1
    return 0


def _console(peers: int) -> Console:
    return Console(width=None if sys.stdout.isatty() else report.width_for(peers))


def _measure(options: Options, chosen: argparse.Namespace) -> int:
    unknown = sorted(set(chosen.what) - set(SCENARIOS))
    if unknown:
        raise BenchmarkError(f"there is no scenario {unknown[0]}; there are {', '.join(SCENARIOS)}, {PROFILE}")
    scenarios = chosen_scenarios(chosen.what or list(SCENARIOS), options)
    peers = peers_of(chosen)
    console = _console(len(peers))
    facts, taken_at = machine.facts(), dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    console.print(*report.lines_of(facts), sep="\n", markup=False, highlight=False)
    if os.getloadavg()[0] > QUIET_LOAD:
        console.print("This machine is not quiet: read ratios and CPU time, not throughput.")
    started = time.monotonic()
    with _ground(fronts=chosen.workers) as ground:
        live, results, complete = _rounds(console, ground, peers, scenarios=scenarios, options=options)
    facts["load_average_after"] = os.getloadavg()[0]
    taken = Document(
        taken_at=taken_at,
        seconds=time.monotonic() - started,
        complete=complete,
        machine=facts,
        options={**asdict(options), "workers": chosen.workers},
        yardstick=YARDSTICK,
        peers={peer.name: {"note": peer.note, "version": peer.version} for peer in live},
        results=results,
    )
    if results and not chosen.no_result:
        path = document.write(taken, RESULTS)
        console.print(f"written: {path}", soft_wrap=True)
        draw.draw_beside(path, console)
    return 0 if complete else INTERRUPTED


def _rounds(
    console: Console, ground: Ground, peers: Sequence[Peer], *, scenarios: Sequence[Scenario], options: Options
) -> tuple[list[LivePeer], list[Result], bool]:
    """The peers, the results of the scenarios that were completed, and whether these are all."""
    with console.status("starting"):
        target = start_target(ground, bulk_bytes=options.bulk_bytes)
        live = [peer.start(ground, target) for peer in peers]
    notes = {peer.name: peer.note for peer in live}
    total = options.rounds * sum(scenario.suits(peer) for scenario in scenarios for peer in live)
    results: list[Result] = []
    with watching(console, yardstick=YARDSTICK, notes=notes, total=total) as watch:
        bench = Bench(ground=ground, target=target, peers=peers, live=live, options=options, watch=watch)
        try:
            for scenario in scenarios:
                results.append(bench.run(scenario))  # noqa: PERF401 - those before an interruption are kept
        except KeyboardInterrupt:
            console.print("ended; what was complete is kept")
            return live, results, False
    return live, results, True


def _profile(console: Console, options: Options, *, connections: int, role: Role) -> None:
    with _ground() as ground, console.status("sampling"):
        target = start_target(ground, bulk_bytes=MIB)
        run = Run(live=Relay().start(ground, target), target=target, ground=ground, options=options)
        profile = profiling.record(run, role=role, connections=connections, output=ground.folder / "samples")
    profiling.show_profile(profile, console, title=f"{role}, connections: {connections}", count=PROFILE_ROWS)


@contextmanager
def _ground(*, fronts: int = 1) -> Iterator[Ground]:
    # Thousands of idle tunnels need as many descriptors; the hard limit is what the system allows us.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, ExitStack() as stack:
        yield Ground(Path(folder), Placement.here(fronts=fronts), stack)


if __name__ == "__main__":
    # Ended by `kill`, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
