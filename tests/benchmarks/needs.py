"""What tests of the benchmarks ask of the machine."""

import shutil

import pytest

from benchmarks.machine import environment

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path=environment()["PATH"]) is None,
    reason="nginx is not installed (scripts/debian-packages bench)",
)
