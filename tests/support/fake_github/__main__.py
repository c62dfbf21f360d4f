"""The fake as a process, for trials by hand.

It prints one JSON line with its facts, then does what lines of JSON on its standard input say, a line of answer for
each: `{"do": "open_pull_request", "with": {"repository": "acme/shop", "branch": "feat"}}`. It ends with SIGTERM,
SIGINT, or `{"do": "stop"}`; the end of the input alone ends nothing.
"""

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from certs import Authority
from tests.support.by_hand import print_line, told_to_end
from tests.support.fake_github.fake import HOST, FakeGitHub
from tests.support.fake_github.snapshot import plain, read_snapshot, restore, write_snapshot

DOINGS = (
    "add_user", "add_org", "add_member", "remove_member", "rename_user", "remove_user", "add_repository",
    "rename_repository", "add_commit", "open_pull_request", "push", "close_pull_request", "reopen_pull_request",
    "edit_pull_request", "install", "uninstall", "suspend", "unsuspend", "add_repositories", "remove_repositories",
    "revoke_authorization", "ping", "redeliver", "statuses", "calls", "stop_listening", "listen",
)  # fmt: skip
TROUBLES = ("primary_limit", "secondary_limit", "error", "hang", "drop", "clear")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until it is told to end."""
    options = _parser().parse_args(arguments)
    stopped = told_to_end()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with _fake(options, folder) as fake:
            print_line(_facts(fake))
            threading.Thread(target=_obey, args=(fake, stopped), daemon=True).start()
            stopped.wait()
            if options.state_file is not None:
                write_snapshot(options.state_file, fake.state)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.support.fake_github", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="loopback port; 0: a free one")
    add("--host", default=HOST, help="the name in its URLs; 127.0.0.1 needs no resolver")
    add("--api-prefix", default="/api/v3")
    add("--state-file", type=Path, help="read at the start where it is there, written at the end")
    add("--folder", type=Path, help="where certificate and keys are written; by default one that is removed at the end")
    add("--ca-file", type=Path, help="an authority that signs its certificate, with --ca-key")
    add("--ca-key", type=Path)
    add("--callback-url", action="append", default=[], help="a registered redirect URI")
    add("--hook-url", help="where webhooks are sent")
    add("--hook-ca-file", type=Path, help="whom the hook's certificate has to be from")
    add("--signed-in-as", help="a login that authorises without being asked")
    return parser


def _fake(options: argparse.Namespace, folder: Path) -> FakeGitHub:
    file: Path | None = options.state_file
    snapshot = None if file is None or not file.exists() else read_snapshot(file)
    authority = None if options.ca_file is None else Authority.load(options.ca_file, options.ca_key)
    fake = FakeGitHub(
        folder,
        authority=authority,
        app=None if snapshot is None else snapshot.app,
        port=options.port,
        host=options.host,
        api_prefix=options.api_prefix,
    )
    if snapshot is None:
        _furnish(fake)
    else:
        restore(fake.state, snapshot)
    fake.app.callback_urls.extend(url for url in options.callback_url if url not in fake.app.callback_urls)
    fake.signed_in_as = options.signed_in_as
    fake.set_hook(options.hook_url, ca_file=options.hook_ca_file)
    return fake


def _furnish(fake: FakeGitHub) -> None:
    """Something to begin with."""
    fake.add_user("dev-one")
    fake.add_user("dev-two")
    fake.add_org("acme", members=["dev-one"])
    fake.add_repository("acme/shop")
    fake.install("acme", deliver=False)


def _facts(fake: FakeGitHub) -> dict[str, Any]:
    return {
        "port": fake.port,
        "web_url": fake.web_url,
        "api_url": fake.api_url,
        "ca_file": str(fake.ca_file),
        "app_id": fake.app.id,
        "app_slug": fake.app.slug,
        "client_id": fake.app.client_id,
        "client_secret": fake.app.client_secret,
        "private_key_file": str(fake.private_key_file),
        "webhook_secret": fake.app.webhook_secret,
        "callback_urls": fake.app.callback_urls,
    }


def _obey(fake: FakeGitHub, stopped: threading.Event) -> None:
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            wanted = json.loads(line)
            if wanted["do"] == "stop":
                stopped.set()
                return
            print_line({"done": _shown(_do(fake, wanted))})
        except Exception as error:  # noqa: BLE001 - whatever a person typed, the next line may be right
            print_line({"error": f"{type(error).__name__}: {error}"})


def _do(fake: FakeGitHub, wanted: dict[str, Any]) -> Any:
    name = wanted["do"]
    if name not in DOINGS + TROUBLES:
        raise ValueError(f"{name} is none of {', '.join(DOINGS + TROUBLES)}")
    if name in TROUBLES:
        getattr(fake.troubles, name)(*wanted.get("args", ()), **wanted.get("with", {}))
        return None
    return getattr(fake, name)(*wanted.get("args", ()), **wanted.get("with", {}))


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return plain(value) if is_dataclass(value) else value


if __name__ == "__main__":
    raise SystemExit(main())
