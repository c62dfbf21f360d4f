"""Pull requests: each change gives the webhook that GitHub sends, and delivers it."""

from dataclasses import replace
from typing import Any

from tests.support.fake_github import shapes
from tests.support.fake_github.directory import Directory
from tests.support.fake_github.records import Account, Event, PullRequest, UnknownError


class PullRequests(Directory):
    """What happens to pull requests.

    `deliver=False` only changes the state; the payload may be delivered later with `deliver(event.name,
    event.payload)`. Even so nothing is sent where GitHub would send nothing: the app is not installed on the
    repository, is suspended, did not subscribe to the event, or no hook URL was set. Delivering blocks until the hook
    answered; `sender` is the login of who did it, by default the author.
    """

    def open_pull_request(
        self,
        repository: str,
        *,
        branch: str = "feature",
        author: str | None = None,
        title: str = "A change",
        number: int | None = None,
        sha: str | None = None,
        base: str | None = None,
        head_repository: str | None = None,
        draft: bool = False,
        deliver: bool = True,
    ) -> Event:
        """`opened`; `head_repository` is the fork that the branch is in. Without an author the first user is."""
        with self.state.lock:
            target = self.state.repository(repository)
            head = self.state.repository(head_repository or repository)
            taken = [key[1] for key in self.state.pulls if key[0] == target.id]
            now = self.state.clock.now()
            pull = PullRequest(
                id=self.state.next_id(),
                number=number or max(taken, default=0) + 1,
                repository_id=target.id,
                title=title,
                author_id=self._user(author).id,
                head_ref=branch,
                head_sha=self.add_commit_to(head.id, sha),
                head_repository_id=head.id,
                base_ref=base or target.default_branch,
                base_sha=self.add_commit_to(target.id),
                created_at=now,
                updated_at=now,
                draft=draft,
            )
            if (target.id, pull.number) in self.state.pulls:
                raise ValueError(f"{repository}#{pull.number} is there")
        return self._change("opened", pull, sender=None, deliver=deliver)

    def push(
        self, repository: str, number: int, *, sha: str | None = None, sender: str | None = None, deliver: bool = True
    ) -> Event:
        """`synchronize`: the branch got a new head commit."""
        with self.state.lock:
            before = self.state.pull(repository, number)
            after = sha or self.add_commit(repository)
            pull = replace(before, head_sha=after.lower())
        more = {"before": before.head_sha, "after": pull.head_sha}
        return self._change("synchronize", pull, sender=sender, deliver=deliver, more=more)

    def close_pull_request(
        self, repository: str, number: int, *, merged: bool = False, sender: str | None = None, deliver: bool = True
    ) -> Event:
        """`closed`, merged or not."""
        now = self.state.clock.now()
        pull = self.state.pull(repository, number)
        closed = replace(pull, state="closed", merged=merged, closed_at=now, merged_at=now if merged else None)
        return self._change("closed", closed, sender=sender, deliver=deliver)

    def reopen_pull_request(
        self, repository: str, number: int, *, sender: str | None = None, deliver: bool = True
    ) -> Event:
        """`reopened`."""
        pull = replace(self.state.pull(repository, number), state="open", closed_at=None)
        return self._change("reopened", pull, sender=sender, deliver=deliver)

    def edit_pull_request(
        self, repository: str, number: int, *, title: str, sender: str | None = None, deliver: bool = True
    ) -> Event:
        """`edited`: another title."""
        pull = self.state.pull(repository, number)
        more = {"changes": {"title": {"from": pull.title}}}
        return self._change("edited", replace(pull, title=title), sender=sender, deliver=deliver, more=more)

    def delete_head_repository(self, repository: str, number: int) -> None:
        """The fork of a pull request is gone: `head.repo` is null from now on."""
        with self.state.lock:
            pull = self.state.pull(repository, number)
            self.state.pulls[pull.repository_id, number] = replace(pull, head_repository_id=None)

    def pull_request(self, repository: str, number: int) -> PullRequest:
        """As it is now. Raises UnknownError."""
        return self.state.pull(repository, number)

    def _change(
        self, action: str, pull: PullRequest, *, sender: str | None, deliver: bool, more: dict[str, Any] | None = None
    ) -> Event:
        with self.state.lock:
            pull = replace(pull, updated_at=self.state.clock.now())
            self.state.pulls[pull.repository_id, pull.number] = pull
            self.add_commit_to(pull.repository_id, pull.head_sha)
            repository = self.state.repositories[pull.repository_id]
            owner = self.state.accounts[repository.owner_id]
            by = self.state.accounts[pull.author_id] if sender is None else self.state.account(sender)
            installation = self.state.installation_of(owner.id)
            payload: dict[str, Any] = {
                "action": action,
                "number": pull.number,
                **(more or {}),
                "pull_request": shapes.pull_request(self.state, pull),
                "repository": shapes.repository(self.state, repository),
            }
            if owner.kind == "Organization":
                payload["organization"] = shapes.organization(self.state, owner)
            payload["sender"] = shapes.account(self.state, by)
            heard = False
            if installation is not None and self.state.covers(installation, repository):
                node = shapes.node_id("I", installation.id)
                payload["installation"] = {"id": installation.id, "node_id": node}
                heard = installation.suspended_at is None and "pull_request" in installation.events
        return self._event("pull_request", payload, deliver=deliver and heard)

    def _event(self, name: str, payload: dict[str, Any], *, deliver: bool) -> Event:
        delivery = self.hooks.deliver(name, payload) if deliver and self.hooks.url is not None else None
        return Event(name=name, payload=payload, delivery=delivery)

    def _user(self, login: str | None) -> Account:
        if login is not None:
            return self.state.account(login)
        for item in self.state.accounts.values():
            if item.kind == "User":
                return item
        raise UnknownError("there is no user yet: add_user")
