"""Everything the fake knows and everything that happened to it, behind one lock."""

import itertools
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from tests.support.fake_github.app import App
from tests.support.fake_github.clock import Clock
from tests.support.fake_github.records import (
    Account,
    AccountKind,
    Call,
    CallerKind,
    Code,
    Delivery,
    Installation,
    PullRequest,
    Repository,
    Status,
    Token,
    UnknownError,
)
from tests.support.https import TIMEOUT_SECONDS

FIRST_ID = 1001
_Found = TypeVar("_Found")


class State:
    """The store; `lock` is held for each change, and `wait_for` wakes up after each."""

    def __init__(self, app: App, clock: Clock) -> None:
        self.app = app
        self.clock = clock
        self.web_url = ""
        self.api_url = ""
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.accounts: dict[int, Account] = {}
        self.repositories: dict[int, Repository] = {}
        self.old_names: dict[str, int] = {}
        """Former full names of repositories, in lower case; GitHub redirects them."""
        self.pulls: dict[tuple[int, int], PullRequest] = {}
        """By repository id and number."""
        self.commits: dict[int, set[str]] = {}
        """Known commits by repository id."""
        self.installations: dict[int, Installation] = {}
        self.statuses: list[Status] = []
        self.tokens: dict[str, Token] = {}
        self.codes: dict[str, Code] = {}
        self.calls: list[Call] = []
        self.deliveries: dict[str, Delivery] = {}
        """By GUID, in order of the first try."""
        self._ids = itertools.count(FIRST_ID)

    def next_id(self) -> int:
        """A number that no other object of the fake has."""
        with self.lock:
            while (number := next(self._ids)) in self.accounts | self.repositories | self.installations:
                pass  # given by a test
            return number

    def account(self, login: str) -> Account:
        """The user or organisation, whatever the case. Raises UnknownError."""
        with self.lock:
            return _first(
                (item for item in self.accounts.values() if item.login.lower() == login.lower()), f"account {login}"
            )

    def add_account(self, login: str, kind: AccountKind, *, name: str, number: int | None) -> Account:
        """Makes a user or an organisation. Raises ValueError where the login is taken."""
        with self.lock:
            if any(item.login.lower() == login.lower() for item in self.accounts.values()):
                raise ValueError(f"the login {login} is taken")
            item = Account(id=number or self.next_id(), login=login, name=name, kind=kind)
            self.accounts[item.id] = item
            return item

    def repository(self, full_name: str) -> Repository:
        """The repository, whatever the case. Raises UnknownError."""
        with self.lock:
            return _first(
                (item for item in self.repositories.values() if self.full_name(item).lower() == full_name.lower()),
                f"repository {full_name}",
            )

    def full_name(self, repository: Repository) -> str:
        """`owner/name`."""
        return f"{self.accounts[repository.owner_id].login}/{repository.name}"

    def pull(self, repository: str, number: int) -> PullRequest:
        """The pull request. Raises UnknownError."""
        with self.lock:
            found = self.pulls.get((self.repository(repository).id, number))
            if found is None:
                raise UnknownError(f"pull request {repository}#{number}")
            return found

    def installation_of(self, account_id: int) -> Installation | None:
        """The app's installation on an account."""
        with self.lock:
            return next((item for item in self.installations.values() if item.account_id == account_id), None)

    def covers(self, installation: Installation, repository: Repository) -> bool:
        """Whether the installation includes the repository."""
        return installation.account_id == repository.owner_id and (
            installation.repository_ids is None or repository.id in installation.repository_ids
        )

    def installed_repositories(self, installation: Installation) -> list[Repository]:
        """What the installation includes."""
        with self.lock:
            return [item for item in self.repositories.values() if self.covers(installation, item)]

    def commit(self, repository_id: int, ref: str) -> str | None:
        """The commit that a SHA or the branch of a pull request names."""
        with self.lock:
            if ref.lower() in self.commits.get(repository_id, ()):
                return ref.lower()
            branch = ref.removeprefix("refs/").removeprefix("heads/")
            heads = [
                item.head_sha
                for item in self.pulls.values()
                if item.repository_id == repository_id == item.head_repository_id and item.head_ref == branch
            ]
            return heads[-1] if heads else None

    def add_token(self, prefix: str, token: Token) -> Token:
        """Keeps a token; gives it with its value."""
        with self.lock:
            value = f"{prefix}_{secrets.token_hex(18)}"
            made = Token(
                value=value,
                kind=token.kind,
                owner_id=token.owner_id,
                expires_at=token.expires_at,
                permissions=token.permissions,
                repository_ids=token.repository_ids,
            )
            self.tokens[value] = made
            return made

    def record_call(self, call: Call) -> None:
        """Adds to the log."""
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()

    def find_calls(self, *, method: str | None, path: str | None, auth: CallerKind | None) -> list[Call]:
        """The log, filtered; `path` is a regular expression that must match the whole path, whatever the case."""
        pattern = None if path is None else re.compile(path, re.IGNORECASE)
        with self.lock:
            return [
                call
                for call in self.calls
                if method in {None, call.method}
                and auth in {None, call.auth}
                and (pattern is None or pattern.fullmatch(call.path))
            ]

    def wait_for(self, get: Callable[[], _Found | None], what: str, *, seconds: float = TIMEOUT_SECONDS) -> _Found:
        """Waits until `get` gives something true; it runs with the lock held. Raises AssertionError."""
        with self.changed:
            found = self.changed.wait_for(get, seconds)
            if not found:
                raise AssertionError(f"the fake GitHub waited {seconds} s for {what}")
            return found


def _first(found: Iterable[_Found], what: str) -> _Found:
    for item in found:
        return item
    raise UnknownError(what)
