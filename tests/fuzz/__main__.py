"""`python -m tests.fuzz --runs N [--target NAME] [--seconds S]`: coverage-guided fuzzing, a process per target.

Prints executions and crashes per target; keeps what crashes a target in tests/fuzz/crashers/. Exit code 1 if any did.
"""

import argparse
import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

TARGETS: Final = ("frames", "heads", "bodies")
CRASHERS: Final = Path(__file__).parent / "crashers"
LONGEST_INPUT_BYTES: Final = 4096
EXECUTION_SECONDS: Final = 10
"""An input that takes longer than this is a crash: a hang."""
INTERRUPTED: Final = 72
"""libFuzzer's exit code when it is stopped by SIGINT, which is no crash."""


def main() -> int:
    """Runs the chosen targets one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions per target")
    parser.add_argument("--target", choices=TARGETS, help="one target instead of all")
    parser.add_argument("--seconds", type=int, default=0, help="stop a target after this time, 0: never")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)  # given to the child: where it grows its inputs
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("fuzzing needs atheris: run `make fuzz`, or install the extra `fuzz`", file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    if options.corpus:
        fuzz(options.target, options)
    targets = [options.target] if options.target else TARGETS
    crashes = sum([run_target(target, options.runs, options.seconds) for target in targets])
    return 1 if crashes else 0


def run_target(target: str, runs: int, seconds: int) -> int:
    """Fuzzes one target in a child process; prints and returns its figures."""
    if importlib.util.find_spec(f"tests.fuzz.{target}") is None:
        print(f"{target}: there is no such target in this tree", file=sys.stderr)  # noqa: T201
        return 1
    command = [sys.executable, "-m", "tests.fuzz", "--target", target, "--runs", str(runs), "--seconds", str(seconds)]
    CRASHERS.mkdir(exist_ok=True)
    before = set(CRASHERS.iterdir())
    with (
        tempfile.TemporaryDirectory() as corpus,
        subprocess.Popen([*command, "--corpus", corpus], stderr=subprocess.PIPE, text=True) as child,
    ):
        assert child.stderr is not None
        executions = 0
        tail: list[str] = []
        for line in child.stderr:
            tail = [*tail[-40:], line]
            if found := re.match(r"#(\d+)\s|stat::number_of_executed_units:\s*(\d+)", line):
                executions = int(found[1] or found[2])
    found_now = sorted(set(CRASHERS.iterdir()) - before)
    crashes = max(len(found_now), int(child.returncode not in {0, INTERRUPTED}))
    print(f"{target}: {executions} executions, {crashes} crashes", *found_now, sep="\n  ", flush=True)  # noqa: T201
    if crashes:
        print("".join(tail), file=sys.stderr)  # noqa: T201
    return crashes


def fuzz(target: str, options: argparse.Namespace) -> None:
    """The child: instruments the product code, then fuzzes until a limit or a crash. Does not return."""
    import atheris  # noqa: PLC0415 - only the child needs it, and it is not always installed

    with atheris.instrument_imports(include=["relay"]):
        module = importlib.import_module(f"tests.fuzz.{target}")
    for index, seed in enumerate(module.seeds() if hasattr(module, "seeds") else ()):
        (Path(options.corpus) / str(index)).write_bytes(seed)
    atheris.Setup(
        [
            sys.argv[0],
            f"-runs={options.runs}",
            f"-max_total_time={options.seconds}",
            f"-max_len={LONGEST_INPUT_BYTES}",
            f"-timeout={EXECUTION_SECONDS}",
            f"-artifact_prefix={CRASHERS}/{target}-",
            "-print_final_stats=1",
            options.corpus,
        ],
        module.run,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
