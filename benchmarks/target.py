"""What all peers lead to: one nginx with a 12-byte answer and files of zeros, a sink for uploads, and an echo."""

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.nginx import start_nginx
from benchmarks.processes import Ground, free_port

ENDLESS_BYTES = 1 << 38
"""256 GiB, all holes: more than any run fetches."""
FILES = {"medium": 10 << 10, "large": 1 << 20, "endless": ENDLESS_BYTES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The running target."""

    port: int
    """nginx: what `benchmarks.visit.FETCHED` names."""
    sink_port: int
    """Takes a body on any path."""
    echo_port: int = 0
    """Takes WebSockets on any path and sends their messages back."""
    pids: tuple[int, ...]
    bulk_file: Path
    """The file behind /bulk, which uploads send as well."""

    def move_to(self, core: int) -> None:
        """Runs it on another core from now on."""
        for pid in self.pids:
            process = psutil.Process(pid)
            for member in [process, *process.children(recursive=True)]:
                member.cpu_affinity([core])


def start_target(ground: Ground, *, bulk_bytes: int) -> Target:
    """Starts both programs."""
    files = ground.folder / "files"
    files.mkdir()
    for name, size in {**FILES, "bulk": bulk_bytes}.items():
        with (files / name).open("wb") as file:
            file.truncate(size)
    port, sink_port, echo_port = free_port(), free_port(), free_port()
    http = f"""
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {files};
        location = /small {{ default_type text/plain; return 200 "hello world\\n"; }}
        location = /once {{ default_type text/plain; keepalive_timeout 0; return 200 "hello world\\n"; }}
    }}
    """
    nginx = start_nginx(ground, "target", name="target", port=port, http=http)
    sink = ground.start("target", [sys.executable, "-m", "benchmarks.sink", str(sink_port)], name="sink")
    echo = ground.start("target", [sys.executable, "-m", "benchmarks.echo", str(echo_port)], name="echo")
    ground.wait_listening(sink_port, name="sink")
    ground.wait_listening(echo_port, name="echo")
    return Target(
        port=port,
        sink_port=sink_port,
        echo_port=echo_port,
        pids=(nginx, sink, echo),
        bulk_file=files / "bulk",
    )
