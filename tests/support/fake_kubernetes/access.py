"""Who calls, by bearer token, and what they may do, by Role and RoleBinding objects."""

import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.support.fake_kubernetes.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    Kind,
)
from tests.support.fake_kubernetes.store import Store
from tests.support.fake_kubernetes.wire import Object, Refusal, failure

MASTERS = "system:masters"
"""The group that may do everything."""
PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")
AUTHENTICATED_PATHS = ("/api", "/apis", "/openapi")
SELF_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectreviews")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whoever calls."""

    name: str
    groups: tuple[str, ...] = ()


ANONYMOUS = User(name="system:anonymous", groups=("system:unauthenticated",))
ADMIN = User(name="kubernetes-admin", groups=(MASTERS, "system:authenticated"))


def service_account_user(namespace: str, name: str) -> User:
    """The user that a service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(name=f"system:serviceaccount:{namespace}:{name}", groups=groups)


class Tokens:
    """The bearer tokens that are good now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: dict[str, User] = {}

    def issue(self, user: User) -> str:
        """A new token; earlier ones stay good."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._users[token] = user
        return token

    def expire(self, token: str) -> None:
        """The token is refused from now on."""
        with self._lock:
            self._users.pop(token, None)

    def expire_all_of(self, user: User) -> None:
        """The same for all tokens of a user."""
        with self._lock:
            self._users = {token: known for token, known in self._users.items() if known.name != user.name}

    def user(self, authorization: str | None) -> User:
        """Who sends such a header. Raises Refusal."""
        if authorization is None:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            user = self._users.get(token.strip())
        if scheme.lower() != "bearer" or user is None:
            raise Refusal(failure(401, "Unauthorized", "Unauthorized"))
        return user


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What somebody wants to do."""

    verb: str
    group: str = ""
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def full_resource(self) -> str:
        """`pods/log`, as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(slots=True)
class Access:
    """Decides by the objects in the store."""

    store: Store

    def require(self, user: User, attempt: Attempt) -> None:
        """Raises the Refusal that Kubernetes writes."""
        if self.allows(user, attempt):
            return
        where = f'in the namespace "{attempt.namespace}"' if attempt.namespace else "at the cluster scope"
        qualified = f"{attempt.resource}.{attempt.group}" if attempt.group else attempt.resource
        named = f'{qualified} "{attempt.name}"' if attempt.name else qualified
        message = (
            f'{named} is forbidden: User "{user.name}" cannot {attempt.verb} resource "{attempt.full_resource}" '
            f'in API group "{attempt.group}" {where}'
        )
        details = ({"name": attempt.name} if attempt.name else {}) | ({"group": attempt.group} if attempt.group else {})
        raise Refusal(failure(403, "Forbidden", message, details | {"kind": attempt.resource}))

    def require_path(self, user: User, verb: str, path: str) -> None:
        """The same for paths that are no resources."""
        open_paths = PUBLIC_PATHS if user is ANONYMOUS else (*PUBLIC_PATHS, *AUTHENTICATED_PATHS)
        if MASTERS not in user.groups and not any(path == item or path.startswith(f"{item}/") for item in open_paths):
            message = f'forbidden: User "{user.name}" cannot {verb} path "{path}"'
            raise Refusal(failure(403, "Forbidden", message, {}))

    def allows(self, user: User, attempt: Attempt) -> bool:
        """Whether any rule lets them."""
        if MASTERS in user.groups:
            return True
        if attempt.resource in SELF_REVIEWS and user is not ANONYMOUS:
            return True
        return any(_covers(rule, attempt) for rule in self._rules(user, attempt.namespace))

    def _rules(self, user: User, namespace: str) -> Iterator[Object]:
        for binding in self.store.all(CLUSTER_ROLE_BINDINGS):
            yield from self._bound(binding, user, "")
        if namespace:
            for binding in self.store.all(ROLE_BINDINGS, namespace):
                yield from self._bound(binding, user, namespace)

    def _bound(self, binding: Object, user: User, namespace: str) -> Iterable[Object]:
        if not any(_is(subject, user, namespace) for subject in binding.get("subjects") or ()):
            return ()
        wanted = binding["roleRef"]
        kind: Kind = ROLES if wanted["kind"] == "Role" else CLUSTER_ROLES
        role = self.store.get(kind, namespace, wanted["name"])
        return () if role is None else role.get("rules") or ()


def _is(subject: Object, user: User, namespace: str) -> bool:
    match subject["kind"]:
        case SERVICE_ACCOUNTS.name:
            home = subject.get("namespace", namespace)
            return user.name == service_account_user(home, subject["name"]).name
        case "Group":
            return subject["name"] in user.groups
        case _:
            return bool(subject["name"] == user.name)


def _covers(rule: Object, attempt: Attempt) -> bool:
    def has(field: str, *wanted: str) -> bool:
        return not {"*", *wanted}.isdisjoint(rule.get(field) or ())

    resources = [attempt.full_resource] + ([f"*/{attempt.subresource}"] if attempt.subresource else [])
    names = rule.get("resourceNames") or ()
    return (
        has("verbs", attempt.verb)
        and has("apiGroups", attempt.group)
        and has("resources", *resources)
        and (not names or attempt.name in names)
    )
