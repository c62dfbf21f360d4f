"""Every fuzz target takes random bytes and mutations of its seeds; `make fuzz` goes on from here with coverage."""

import importlib
import importlib.util
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.__main__ import TARGETS

ROUNDS = 4000
PRESENT = [name for name in TARGETS if importlib.util.find_spec(f"tests.fuzz.{name}") is not None]


def mutated(generator: random.Random, seeds: list[bytes]) -> bytes:
    """Two seeds joined, with some bytes changed, dropped or repeated."""
    data = bytearray(generator.choice(seeds) + generator.choice(seeds)[1:])
    for _ in range(generator.randrange(6)):
        at = generator.randrange(len(data) + 1)
        match generator.randrange(4):
            case 0:
                data[at : at + 1] = bytes([generator.choice((0, 1, 2, 5, 0x7F, 0x80, 0xFF, generator.randrange(256)))])
            case 1:
                del data[at : at + generator.randrange(1, 9)]
            case 2:
                data[at:at] = data[at : at + generator.randrange(1, 40)]
            case _:
                data[at:at] = generator.randbytes(generator.randrange(1, 9))
    return bytes(data)


@pytest.mark.parametrize("name", PRESENT)
def test_target_survives(name: str) -> None:
    module: Any = importlib.import_module(f"tests.fuzz.{name}")
    seeds = list(module.seeds()) if hasattr(module, "seeds") else [b"", b"\0"]
    generator = random.Random(20261123)
    for seed in seeds:
        module.run(seed)
    for _ in range(ROUNDS):
        module.run(generator.randbytes(generator.randrange(64)))
        module.run(mutated(generator, seeds))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is not None, reason="atheris is installed")
def test_without_atheris_the_command_says_so_in_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--runs", "1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "make fuzz" in result.stderr
