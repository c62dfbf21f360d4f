"""Other tunnels, whose programs are not part of this project: `--peer NAME=PATH` says where they are."""

import os
import secrets
import subprocess
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

from benchmarks.peers.base import LivePeer, Peer
from benchmarks.peers.https import answers
from benchmarks.processes import BenchmarkError, Ground, free_port, wait_until
from benchmarks.target import Target
from benchmarks.visit import Resource, Visit
from certs import Authority, write_file

PLAIN = "plain HTTP towards the visitor"
HOSTS = ("web.localhost", "sink.localhost")
"""Where a peer routes by name: what the target serves, and uploads."""
VERSION_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a peer's configuration is written from."""

    folder: Path
    """Has ca.pem, server.pem, server.key, and server.pfx with the password `secret`; they are for 127.0.0.1, localhost
    and `HOSTS`."""
    programs: Mapping[str, Path]
    control: int
    """Port of the agent's connection to the server."""
    web: int
    """Port for visitors."""
    sink: int
    """Port for uploads, where the peer has one port for each target."""
    spare: Sequence[int]
    """Two more, for what a server insists on listening on."""
    target: Target
    secret: str
    """Shared by agent and server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a peer is run."""

    files: Mapping[str, str]
    """By name in the folder."""
    front: Sequence[str]
    """The server's command."""
    back: Sequence[Sequence[str]]
    """The agents' commands, one for most."""
    visits: Mapping[Resource, Visit]


class Tunnel(Peer):
    """A server that faces visitors and an agent that dials it; subclasses say how they are configured."""

    programs: ClassVar[tuple[str, ...]]
    """Names of the executables; the first one tells its version."""
    note: ClassVar[str] = PLAIN
    control_port: ClassVar[int | None] = None
    """Where the server listens for agents if it cannot be told."""

    def __init__(self, path: Path) -> None:
        self._programs = find_programs(path, self.programs)

    @abstractmethod
    def plan(self, setting: Setting) -> Plan:
        """Files and commands; starts nothing."""

    def start(self, ground: Ground, target: Target) -> LivePeer:
        """Starts the server, then the agent."""
        setting = self._setting(ground, target)
        plan = self.plan(setting)
        for name, text in plan.files.items():
            write_file(setting.folder / name, text.encode(), mode=0o600)
        front = ground.start("front", plan.front, name=f"{self.name}-server")
        ground.wait_listening(setting.control, name=f"{self.name}-server")
        back = [
            ground.start("back", command, name=f"{self.name}-agent-{number}")
            for number, command in enumerate(plan.back)
        ]
        if not wait_until(lambda: answers(plan.visits["small"])):
            logs = "\n".join(ground.log_tail(f"{self.name}-{role}") for role in ("server", "agent-0"))
            raise BenchmarkError(f"{self.name} does not answer; server and agent say:\n{logs}")
        return LivePeer(
            name=self.name,
            visits=plan.visits,
            roles={"front": [front], "back": back},
            placement=ground.placement,
            note=self.note,
            version=version_of(self._programs[self.programs[0]]),
        )

    def _setting(self, ground: Ground, target: Target) -> Setting:
        folder = ground.folder / self.name
        folder.mkdir()
        secret = secrets.token_hex(16)
        write_certificates(folder, secret)
        return Setting(
            folder=folder,
            programs=self._programs,
            control=self.control_port or free_port(),
            web=free_port(),
            sink=free_port(),
            spare=[free_port(), free_port()],
            target=target,
            secret=secret,
        )


def find_programs(path: Path, names: Sequence[str]) -> dict[str, Path]:
    """The executables: in the folder `path`, or the first one at `path` and the others beside it.

    Raises:
        BenchmarkError: one is not there.
    """
    folder = path if path.is_dir() else path.parent
    found = {name: folder / name for name in names}
    if not path.is_dir():
        found[names[0]] = path
    for program in found.values():
        if not program.is_file() or not os.access(program, os.X_OK):
            raise BenchmarkError(f"there is no program {program}")
    # Programs start in the folder of the run only by luck: their paths must hold anywhere.
    return {name: program.absolute() for name, program in found.items()}


def write_certificates(folder: Path, password: str) -> None:
    """Writes what `Setting.folder` promises."""
    authority = Authority.create()
    pair = authority.leaf(["127.0.0.1", "localhost", *HOSTS])
    pair.write(folder / "server.pem", folder / "server.key")
    write_file(folder / "ca.pem", authority.pem, mode=0o644)
    key = load_pem_private_key(pair.key, password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError(f"{type(key).__name__} is no key of ours")
    bundle = pkcs12.serialize_key_and_certificates(
        b"server",
        key,
        x509.load_pem_x509_certificate(pair.certificate),
        [authority.certificate],
        BestAvailableEncryption(password.encode()),
    )
    write_file(folder / "server.pfx", bundle, mode=0o600)


def version_of(program: Path) -> str:
    """The first line that `--version` prints; empty where it prints none."""
    try:
        # No check: some end with 1 after they have printed it.
        result = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=VERSION_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next(iter((result.stdout + result.stderr).splitlines()), "").strip()
