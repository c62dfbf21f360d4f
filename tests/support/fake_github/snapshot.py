"""What a fake that runs as a process keeps from one start to the next: the app and everything that tests set up."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tests.support.fake_github.app import App
from tests.support.fake_github.records import Account, Installation, PullRequest, Repository, Status
from tests.support.fake_github.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The part of the state that outlives a process; tokens and codes do not."""

    app: App
    accounts: list[Account] = field(default_factory=list)
    repositories: list[Repository] = field(default_factory=list)
    pulls: list[PullRequest] = field(default_factory=list)
    commits: dict[int, set[str]] = field(default_factory=dict)
    installations: list[Installation] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)


_ADAPTER = TypeAdapter(Snapshot)


def read_snapshot(path: Path) -> Snapshot:
    """What `write_snapshot` wrote. Raises ValueError for anything else."""
    return _ADAPTER.validate_json(path.read_bytes())


def write_snapshot(path: Path, state: State) -> None:
    """Writes the state of the fake."""
    with state.lock:
        snapshot = Snapshot(
            app=state.app,
            accounts=list(state.accounts.values()),
            repositories=list(state.repositories.values()),
            pulls=list(state.pulls.values()),
            commits=state.commits,
            installations=list(state.installations.values()),
            statuses=list(state.statuses),
        )
        path.write_bytes(_ADAPTER.dump_json(snapshot, indent=2))


def restore(state: State, snapshot: Snapshot) -> None:
    """Puts everything but the app, which the fake was made with, into a new fake."""
    with state.lock:
        state.accounts.update({item.id: item for item in snapshot.accounts})
        state.repositories.update({item.id: item for item in snapshot.repositories})
        state.pulls.update({(item.repository_id, item.number): item for item in snapshot.pulls})
        state.commits.update(snapshot.commits)
        state.installations.update({item.id: item for item in snapshot.installations})
        state.statuses.extend(snapshot.statuses)
        used = [*(item.id for item in snapshot.pulls), *(item.id for item in snapshot.statuses)]
        while used and state.next_id() < max(used):
            pass


def plain(value: Any) -> Any:
    """A record as JSON values, for being printed."""
    return TypeAdapter(Any).dump_python(asdict(value) if not isinstance(value, Mapping) else value, mode="json")
