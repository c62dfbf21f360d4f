"""The fake as a process, for trials by hand.

It prints one JSON line with its facts, and ends with SIGTERM or SIGINT.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.by_hand import print_line, told_to_end
from tests.support.fake_kubernetes.fake import FakeKubernetes


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until it is told to end."""
    options = _parser().parse_args(arguments)
    stopped = told_to_end()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with FakeKubernetes(folder, port=options.port) as fake:
            for manifest in options.manifest:
                fake.create_all(manifest)
            facts = {"url": fake.url, "ca_file": str(fake.ca_file), "kubeconfig": str(fake.kubeconfig())}
            print_line(facts | {"admin_token": fake.admin_token})
            stopped.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.support.fake_kubernetes", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="loopback port; 0: a free one")
    add("--folder", type=Path, help="where certificate and kubeconfig are written; by default one that is removed")
    add("--manifest", type=Path, action="append", default=[], help="YAML of objects to begin with")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
