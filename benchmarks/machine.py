"""Facts about where and on what the figures were taken."""

import os
import platform
import ssl
import subprocess
import sys
from pathlib import Path

import psutil
import trio


def facts() -> dict[str, str | int | float]:
    """The machine, its load now, the versions that matter, and the commit."""
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cores": os.cpu_count() or 1,
        "memory_mib": psutil.virtual_memory().total >> 20,
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": ssl.OPENSSL_VERSION,
        "trio": trio.__version__,
        "nginx": _first_line("nginx", "-v").removeprefix("nginx version: "),
        "wrk": _first_line("wrk", "-v"),
        "h2load": _first_line("h2load", "--version"),
        "curl": _first_line("curl", "--version").partition(" (")[0],
        "commit": commit(),
    }


def cpu_model(cpuinfo: str) -> str:
    """The model name in the text of /proc/cpuinfo, or the architecture where it names none (as on ARM)."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def commit() -> str:
    """The commit the figures belong to, with `+` when the work tree differs from it."""
    root = Path(__file__).parent.parent
    head = _first_line("git", "-C", str(root), "rev-parse", "--short=12", "HEAD")
    changed = _first_line("git", "-C", str(root), "status", "--porcelain", "--", "relay", "client", "certs")
    return f"{head}+" if changed else head


def environment() -> dict[str, str]:
    """The environment of programs under test: with Debian's sbin, where nginx is, on the path."""
    folder = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{folder}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


def _first_line(*command: str) -> str:
    try:
        # No check: `wrk -v` ends with 1 after it has printed its version.
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    except FileNotFoundError:
        return "not installed"
    return next(iter((result.stdout + result.stderr).splitlines()), "")
