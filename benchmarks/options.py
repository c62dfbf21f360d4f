"""The command line of a run."""

import argparse
from pathlib import Path

from benchmarks.peers import PEERS, TUNNELS, Nginx, Peer, Relay
from benchmarks.processes import BenchmarkError
from benchmarks.scenarios import SCENARIOS, SIZES, Options

PROFILE = "profile"
MIB = 1 << 20


def parser(description: str | None) -> argparse.ArgumentParser:
    """Everything but `compare` and `draw`, which have command lines of their own."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=description,
        epilog="python -m benchmarks compare A.json B.json: what changed; ... draw A.json: its pictures again",
    )
    made.add_argument(
        "what", nargs="*", metavar="SCENARIO", help=f"{', '.join(SCENARIOS)} (default: all), or {PROFILE} alone"
    )
    made.add_argument("--rounds", type=_positive, default=5, help="rounds of each scenario (default: %(default)s)")
    made.add_argument("--seconds", type=_positive, default=5, help="length of a round of requests, or of a profile")
    made.add_argument("--mib", type=_positive, default=1024, help="size of a bulk body (default: %(default)s)")
    made.add_argument("--tunnels", type=_positive, action="append", help="idle ones; repeatable (default: 1000)")
    made.add_argument("--sockets", type=_positive, action="append", help="WebSockets; repeatable (default: 1000)")
    made.add_argument("--agents", type=_positive, action="append", help="of a storm; repeatable (default: 1000)")
    made.add_argument(
        "--round-trip", type=_positive, action="append", help="of a slow link, ms; repeatable (default: 50)"
    )
    made.add_argument("--workspaces", type=_positive, action="append", help="of growth; repeatable")
    made.add_argument("--clusters", type=_positive, action="append", help="of growth; repeatable")
    made.add_argument("--patience", type=float, default=0.0, help="seconds that each round may wait for quiet")
    made.add_argument(
        "--connections", type=_positive, action="append", help="of requests; repeatable; of a profile (default: 32)"
    )
    made.add_argument("--answer", choices=SIZES, action="append", help="size of answers of requests; repeatable")
    _add_peers(made)
    made.add_argument("--role", choices=("front", "back"), default="front", help="profile the relay or the agent")
    made.add_argument("--no-result", action="store_true", help="only print, write no file to benchmarks/results")
    return made


def _add_peers(made: argparse.ArgumentParser) -> None:
    built_in = ", ".join(peer.name for peer in PEERS)
    made.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME[=PATH]",
        help=f"NAME: only this of {built_in}; NAME=PATH: {', '.join(TUNNELS)} as well, whose program, or the folder of "
        "its programs, is at PATH; repeatable",
    )
    made.add_argument(
        "--python",
        type=Path,
        action="append",
        default=[],
        help="the relay under this interpreter as well, in which this project is installed; repeatable",
    )
    made.add_argument("--workers", type=_positive, default=1, help="processes of the relay and of nginx (default: 1)")


def options_of(chosen: argparse.Namespace) -> Options:
    """What scenarios are told."""
    return Options(
        rounds=chosen.rounds,
        seconds=chosen.seconds,
        bulk_bytes=chosen.mib * MIB,
        connections=tuple(chosen.connections or ()),
        answers=tuple(chosen.answer or ()),
        tunnels=tuple(chosen.tunnels or ()),
        sockets=tuple(chosen.sockets or ()),
        round_trips=tuple(chosen.round_trip or ()),
        agents=tuple(chosen.agents or ()),
        workspaces=tuple(chosen.workspaces or ()),
        clusters=tuple(chosen.clusters or ()),
        patience_seconds=chosen.patience,
    )


def peers_of(chosen: argparse.Namespace) -> list[Peer]:
    """The peers to measure. Raises BenchmarkError for a name that is none, or a program that is not there."""
    only = [name for name in chosen.peer if "=" not in name]
    paths = dict(name.split("=", 1) for name in chosen.peer if "=" in name)
    built_in = {peer.name for peer in PEERS}
    for name in only:
        if name in TUNNELS:
            raise BenchmarkError(f"{name} needs its program: --peer {name}=PATH")
        if name not in built_in:
            raise BenchmarkError(f"there is no peer {name}; there are {', '.join([*sorted(built_in), *TUNNELS])}")
    for name in paths:
        if name not in TUNNELS:
            raise BenchmarkError(f"no peer {name} takes a path; those that do: {', '.join(TUNNELS)}")
    made: list[Peer] = [
        peer(workers=chosen.workers) if issubclass(peer, Relay | Nginx) else peer()
        for peer in PEERS
        if not only or peer.name in only
    ]
    relays = [Relay(python=python, workers=chosen.workers) for python in chosen.python]
    return [*relays, *made, *(TUNNELS[name](Path(path)) for name, path in paths.items())]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
