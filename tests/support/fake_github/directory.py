"""Users, organisations, repositories: what tests set up. None of this delivers webhooks."""

import secrets
from collections.abc import Iterable
from dataclasses import replace

from tests.support.fake_github.hooks import Hooks
from tests.support.fake_github.records import Account, Repository
from tests.support.fake_github.state import State


class Directory:
    """Changes of the state that have no webhook; all are safe to be called from any thread."""

    state: State
    hooks: Hooks

    def add_user(self, login: str, *, name: str = "", number: int | None = None) -> Account:
        """Makes a user, with an id of its own or a given one."""
        return self.state.add_account(login, "User", name=name or login, number=number)

    def add_org(self, login: str, *, members: Iterable[str] = (), name: str = "", number: int | None = None) -> Account:
        """Makes an organisation; its members are users that exist."""
        with self.state.lock:
            made = self.state.add_account(login, "Organization", name=name or login, number=number)
            for member in members:
                made = self.add_member(login, member)
            return made

    def add_member(self, org: str, login: str, *, public: bool = False) -> Account:
        """Makes a user a member; `public` shows it to everybody. Gives the organisation."""
        with self.state.lock:
            found, user = self.state.account(org), self.state.account(login)
            shown = found.public_members | ({user.id} if public else set())
            return self._keep(replace(found, members=found.members | {user.id}, public_members=shown))

    def remove_member(self, org: str, login: str) -> Account:
        """Takes a user out of an organisation."""
        with self.state.lock:
            found, user = self.state.account(org), self.state.account(login)
            return self._keep(_without(found, user.id))

    def rename_user(self, login: str, new_login: str) -> Account:
        """Gives a user or organisation another login; the id stays, and the old login is free for anybody."""
        with self.state.lock:
            found = self.state.account(login)
            if any(item.login.lower() == new_login.lower() != login.lower() for item in self.state.accounts.values()):
                raise ValueError(f"the login {new_login} is taken")
            for item in self._repositories():
                if item.owner_id == found.id:
                    self.state.old_names[self.state.full_name(item).lower()] = item.id
            return self._keep(replace(found, login=new_login))

    def remove_user(self, login: str) -> None:
        """Deletes an account with its memberships and tokens."""
        with self.state.lock:
            found = self.state.account(login)
            del self.state.accounts[found.id]
            for item in list(self.state.accounts.values()):
                self._keep(_without(item, found.id))
            self.revoke_tokens(found.id)

    def add_repository(
        self, full_name: str, *, private: bool = True, fork: bool = False, number: int | None = None
    ) -> Repository:
        """Makes `owner/name`."""
        owner, _, name = full_name.partition("/")
        with self.state.lock:
            if any(self.state.full_name(item).lower() == full_name.lower() for item in self._repositories()):
                raise ValueError(f"the repository {full_name} is there")
            made = Repository(
                id=number or self.state.next_id(),
                owner_id=self.state.account(owner).id,
                name=name,
                private=private,
                fork=fork,
            )
            self.state.repositories[made.id] = made
            return made

    def rename_repository(self, full_name: str, new_name: str) -> Repository:
        """Gives it another name below the same owner; the id stays, and the old name redirects."""
        with self.state.lock:
            found = self.state.repository(full_name)
            self.state.old_names[full_name.lower()] = found.id
            self.state.repositories[found.id] = made = replace(found, name=new_name)
            return made

    def add_commit(self, full_name: str, sha: str | None = None) -> str:
        """Makes a commit known; gives its SHA."""
        with self.state.lock:
            return self.add_commit_to(self.state.repository(full_name).id, sha)

    def add_commit_to(self, repository_id: int, sha: str | None = None) -> str:
        """The same, by the repository's id."""
        with self.state.lock:
            made = (sha or secrets.token_hex(20)).lower()
            self.state.commits.setdefault(repository_id, set()).add(made)
            return made

    def revoke_tokens(self, owner_id: int) -> None:
        """Makes all tokens of a user or an installation worthless."""
        with self.state.lock:
            for value, token in list(self.state.tokens.items()):
                if token.owner_id == owner_id:
                    del self.state.tokens[value]

    def _keep(self, account: Account) -> Account:
        self.state.accounts[account.id] = account
        return account

    def _repositories(self) -> list[Repository]:
        return list(self.state.repositories.values())


def _without(org: Account, member_id: int) -> Account:
    return replace(org, members=org.members - {member_id}, public_members=org.public_members - {member_id})
