"""The app's life on accounts: installed, suspended, given and deprived of repositories, uninstalled."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tests.support.fake_github import shapes
from tests.support.fake_github.pulls import PullRequests
from tests.support.fake_github.records import Event, Installation, Repository, UnknownError


class Installations(PullRequests):
    """What happens to installations; every app gets these webhooks. See PullRequests for `deliver` and `sender`."""

    def install(
        self,
        account: str,
        *,
        repositories: Iterable[str] | None = None,
        number: int | None = None,
        sender: str | None = None,
        deliver: bool = True,
    ) -> Event:
        """`installation.created` on an organisation or user, for all repositories or the full names given."""
        with self.state.lock:
            owner, now = self.state.account(account), self.state.clock.now()
            if self.state.installation_of(owner.id) is not None:
                raise ValueError(f"the app is installed on {account}")
            chosen = None if repositories is None else [self.state.repository(name) for name in repositories]
            made = Installation(
                id=number or self.state.next_id(),
                account_id=owner.id,
                permissions=dict(self.state.app.permissions),
                events=tuple(self.state.app.events),
                created_at=now,
                updated_at=now,
                repository_ids=None if chosen is None else frozenset(item.id for item in chosen),
            )
            payload = self._payload("created", made, sender)
        return self._event("installation", payload, deliver=deliver)

    def uninstall(self, account: str, *, sender: str | None = None, deliver: bool = True) -> Event:
        """`installation.deleted`; its tokens are worthless."""
        with self.state.lock:
            gone = self.installation(account)
            payload = self._payload("deleted", gone, sender)
            del self.state.installations[gone.id]
            self.revoke_tokens(gone.id)
        return self._event("installation", payload, deliver=deliver)

    def suspend(self, account: str, *, sender: str | None = None, deliver: bool = True) -> Event:
        """`installation.suspend`."""
        with self.state.lock:
            by = self._user(sender)
            found = self.installation(account)
            found = replace(found, suspended_at=self.state.clock.now(), suspended_by_id=by.id)
            payload = self._payload("suspend", found, sender)
        return self._event("installation", payload, deliver=deliver)

    def unsuspend(self, account: str, *, sender: str | None = None, deliver: bool = True) -> Event:
        """`installation.unsuspend`."""
        with self.state.lock:
            found = replace(self.installation(account), suspended_at=None, suspended_by_id=None)
            payload = self._payload("unsuspend", found, sender)
        return self._event("installation", payload, deliver=deliver)

    def add_repositories(self, account: str, *names: str, sender: str | None = None, deliver: bool = True) -> Event:
        """`installation_repositories.added`: the app gets these as well."""
        with self.state.lock:
            found = self.installation(account)
            added = [self.state.repository(name) for name in names]
            if found.repository_ids is not None:
                more = frozenset(item.id for item in added)
                found = replace(found, repository_ids=found.repository_ids | more)
            payload = self._repositories_payload("added", found, sender, added=added)
        return self._event("installation_repositories", payload, deliver=deliver)

    def remove_repositories(self, account: str, *names: str, sender: str | None = None, deliver: bool = True) -> Event:
        """`installation_repositories.removed`: the app loses these."""
        with self.state.lock:
            found = self.installation(account)
            removed = [self.state.repository(name) for name in names]
            had = self.state.installed_repositories(found)
            left = frozenset(item.id for item in had) - {item.id for item in removed}
            found = replace(found, repository_ids=left)
            payload = self._repositories_payload("removed", found, sender, removed=removed)
        return self._event("installation_repositories", payload, deliver=deliver)

    def revoke_authorization(self, login: str, *, deliver: bool = True) -> Event:
        """`github_app_authorization.revoked`: the user takes the authorisation back; the tokens are worthless."""
        with self.state.lock:
            user = self.state.account(login)
            self.revoke_tokens(user.id)
            payload = {"action": "revoked", "sender": shapes.account(self.state, user)}
        return self._event("github_app_authorization", payload, deliver=deliver)

    def ping(self) -> Event:
        """What a new webhook gets first."""
        with self.state.lock:
            app = self.state.app
            hook = {
                "type": "App",
                "id": app.hook_id,
                "name": "web",
                "active": True,
                "events": list(app.events),
                "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": self.hooks.url},
                "app_id": app.id,
            }
        return self._event(
            "ping", {"zen": "Keep it logically awesome.", "hook_id": app.hook_id, "hook": hook}, deliver=True
        )

    def installation(self, account: str) -> Installation:
        """As it is now. Raises UnknownError."""
        with self.state.lock:
            found = self.state.installation_of(self.state.account(account).id)
            if found is None:
                raise UnknownError(f"installation on {account}")
            return found

    def _payload(self, action: str, item: Installation, sender: str | None) -> dict[str, Any]:
        item = replace(item, updated_at=self.state.clock.now())
        self.state.installations[item.id] = item
        repositories = self.state.installed_repositories(item)
        return {
            "action": action,
            "installation": shapes.installation(self.state, item),
            "repositories": [shapes.short_repository(self.state, found) for found in repositories],
            "requester": None,
            "sender": shapes.account(self.state, self._user(sender)),
        }

    def _repositories_payload(
        self,
        action: str,
        item: Installation,
        sender: str | None,
        *,
        added: Sequence[Repository] = (),
        removed: Sequence[Repository] = (),
    ) -> dict[str, Any]:
        payload = self._payload(action, item, sender)
        del payload["repositories"]
        return payload | {
            "repository_selection": payload["installation"]["repository_selection"],
            "repositories_added": [shapes.short_repository(self.state, found) for found in added],
            "repositories_removed": [shapes.short_repository(self.state, found) for found in removed],
        }
