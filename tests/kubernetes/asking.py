"""How the claims ask an API server, the fake or a real one: strict HTTP, and no more than a client has."""

import json
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from tests.support.https import Answer, Connection, request_bytes

HOST = "127.0.0.1"
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.05
JSON = "application/json"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
Object = dict[str, Any]
READ_PODS: Object = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}


class Server(Protocol):
    """What an API server has to offer to be asked."""

    @property
    def port(self) -> int: ...
    @property
    def ca_file(self) -> Path: ...
    @property
    def admin_token(self) -> str: ...
    def forget_history(self) -> None: ...


class Events:
    """The events of a watch."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def next(self) -> Object:
        """The next one. Raises StopIteration at the end of the watch."""
        while b"\n" not in self._rest:
            self._rest += next(self._parts)
        line, _, self._rest = self._rest.partition(b"\n")
        event: Object = json.loads(line)
        return event

    def rest(self) -> list[Object]:
        """All until the end of the watch."""
        found = []
        while True:
            try:
                found.append(self.next())
            except StopIteration:
                return found


class Api:
    """Asks one server as one user, in a namespace of the test's own."""

    def __init__(self, server: Server, token: str | None, namespace: str) -> None:
        self.server = server
        self.token = token
        self.namespace = namespace
        self.core = f"/api/v1/namespaces/{namespace}"
        self.leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self.apps = f"/apis/apps/v1/namespaces/{namespace}"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: str = JSON,
        accept: str = JSON,
        headers: Sequence[tuple[str, str]] = (),
        **query: Any,
    ) -> Answer:
        """One request, on a connection of its own; `query` in snake case of Python: `label_selector`."""
        with self._connect() as connection:
            connection.send(
                self._request(method, path, body, content=content, accept=accept, headers=headers, query=query)
            )
            return connection.read_answer(method)

    def create(self, path: str, value: Object) -> Object:
        """Creates an object that has to be taken."""
        answer = self.ask("POST", path, value)
        assert answer.status == 201, answer.body
        made: Object = answer.json()
        return made

    def get(self, path: str, **query: Any) -> Object:
        """Reads what has to be there."""
        answer = self.ask("GET", path, **query)
        assert answer.status == 200, answer.body
        found: Object = answer.json()
        return found

    def patch(self, path: str, patch: Any, *, content: str = "application/merge-patch+json", **query: Any) -> Object:
        """A patch that has to be taken."""
        answer = self.ask("PATCH", path, patch, content=content, **query)
        assert answer.status in {200, 201}, answer.body
        made: Object = answer.json()
        return made

    @contextmanager
    def watch(self, path: str, **query: Any) -> Iterator[Events]:
        """A watch that has to be begun."""
        with self._connect() as connection:
            connection.send(self._request("GET", path, None, query={"watch": "true", **query}))
            status, headers = connection.read_head()
            assert status == 200
            yield Events(connection.body_parts("GET", status, headers))

    def as_user(self, token: str | None) -> "Api":
        """The same for somebody else."""
        return Api(self.server, token, self.namespace)

    def account(self, name: str, rules: Sequence[Object], *, everywhere: bool = False) -> "Api":
        """A service account with rights in the namespace or in all, when they are in effect."""
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        self.create(f"{self.core}/serviceaccounts", {"metadata": {"name": name}})
        prefix, home = ("Cluster", RBAC) if everywhere else ("", f"{RBAC}/namespaces/{self.namespace}")
        role = f"{self.namespace}-{name}"
        self.create(f"{home}/{prefix.lower()}roles", {"metadata": {"name": role}, "rules": list(rules)})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": f"{prefix}Role", "name": role}
        binding = {"metadata": {"name": role}, "roleRef": reference, "subjects": [subject]}
        self.create(f"{home}/{prefix.lower()}rolebindings", binding)
        told = self.create(f"{self.core}/serviceaccounts/{name}/token", {"spec": {"expirationSeconds": 3600}})
        user = self.as_user(told["status"]["token"])
        for rule in rules:
            user.wait_until_allowed(rule)
        return user

    def wait_until_allowed(self, rule: Object) -> None:
        """An API server hears of new rights a moment later."""
        resource, _, subresource = rule["resources"][0].partition("/")
        wanted = {"verb": rule["verbs"][0], "group": rule["apiGroups"][0], "resource": resource}
        wanted |= {"subresource": subresource, "namespace": self.namespace, "name": rule.get("resourceNames", [""])[0]}
        question = {"spec": {"resourceAttributes": wanted}}
        until(lambda: self.ask("POST", REVIEWS, question).json()["status"]["allowed"])

    def _connect(self) -> Connection:
        return Connection(self.server.port, server_name=HOST, ca_file=self.server.ca_file)

    def _request(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        content: str = JSON,
        accept: str = JSON,
        headers: Sequence[tuple[str, str]] = (),
        query: Object,
    ) -> bytes:
        named = {_camel(name): str(item) for name, item in query.items()}
        target = f"{path}?{urlencode(named)}" if named else path
        headers = [("Accept", accept), ("User-Agent", "claims/1"), *headers]
        headers += [("Authorization", f"Bearer {self.token}")] if self.token else []
        headers += [("Content-Type", content)] if body is not None else []
        raw = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return request_bytes(method, target, f"{HOST}:{self.server.port}", headers=headers, body=raw)


def until(check: Any) -> Any:
    """Asks again and again until the answer is true. Raises AssertionError."""
    deadline = time.monotonic() + WAIT_SECONDS
    pause = threading.Event()
    while not (found := check()):
        assert time.monotonic() < deadline, "it does not come true"
        pause.wait(POLL_SECONDS)
    return found


def new_namespace(server: Server) -> Api:
    """A namespace of the test's own, and its admin."""
    name = f"t-{secrets.token_hex(5)}"
    api = Api(server, server.admin_token, name)
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return api


def deployment(name: str, image: str = "acme/web:1", **container: Any) -> Object:
    """A deployment of one container."""
    labels = {"app": name}
    inside = {"name": "main", "image": image} | container
    template = {"metadata": {"labels": labels}, "spec": {"containers": [inside]}}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


def config(name: str, **data: str) -> Object:
    """A config map: the simplest object there is."""
    return {"metadata": {"name": name}, "data": data}


def _camel(name: str) -> str:
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(word.capitalize() for word in rest)
