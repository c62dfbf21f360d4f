"""What the API does at a resource: the verbs on collections, objects and their parts."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from tests.support.fake_kubernetes import patches, tables
from tests.support.fake_kubernetes.access import Access, Attempt, Tokens, User, service_account_user
from tests.support.fake_kubernetes.fields import How
from tests.support.fake_kubernetes.kinds import PODS, SERVICE_ACCOUNTS, Kind
from tests.support.fake_kubernetes.logs import Logs
from tests.support.fake_kubernetes.paths import SELF_REVIEW, Target
from tests.support.fake_kubernetes.registry import Registry, scale_of
from tests.support.fake_kubernetes.values import timestamp
from tests.support.fake_kubernetes.watching import Selection, Watch, Watches, list_objects
from tests.support.fake_kubernetes.wire import (
    JSON,
    Object,
    Refusal,
    Reply,
    Request,
    bad_request,
    failure,
    json_reply,
    method_not_allowed,
    no_such_path,
)

TOKEN_SECONDS = 3600


@dataclass(slots=True)
class Endpoints:
    """Answers requests that may be answered; wants the store's lock held."""

    registry: Registry
    watches: Watches
    logs: Logs
    access: Access
    tokens: Tokens

    def answer(self, request: Request, target: Target, verb: str, user: User) -> Reply:
        """Raises Refusal."""
        if (target.group, target.version, target.resource) == SELF_REVIEW:
            return self._review(request, verb, user)
        kind = target.kind
        if kind is None or (target.subresource and target.subresource not in kind.subresources):
            raise no_such_path()
        match target.subresource, verb:
            case "log", "get":
                return self.logs.reply(self.registry.require(PODS, target.namespace, target.name), request)
            case "token", "create":
                return self._token(request, target)
            case "scale", _:
                return self._scale(request, target, kind, verb)
            case "" | "status", "get" | "list" | "watch":
                return self._read(request, target, kind, verb)
            case "" | "status", _:
                return self._write(request, target, kind, verb)
            case _:
                raise method_not_allowed()

    def _read(self, request: Request, target: Target, kind: Kind, verb: str) -> Reply:
        match verb:
            case "list":
                return self._list(request, kind, target.namespace)
            case "watch":
                return self._watch(request, kind, target)
            case _:
                return self._shown(request, kind, self.registry.require(kind, target.namespace, target.name))

    def _write(self, request: Request, target: Target, kind: Kind, verb: str) -> Reply:
        namespace, name, how = target.namespace, target.name, _how(request, target)
        match verb:
            case "create" if not name and (namespace or not kind.namespaced):
                return json_reply(self.registry.create(kind, namespace, _body(request), how), 201)
            case "update":
                return json_reply(self.registry.update(kind, namespace, name, _body(request), how=how))
            case "patch":
                return self._patch(request, target, kind, how)
            case "delete" if not target.subresource:
                options = _options(request)
                return json_reply(self.registry.delete(kind, namespace, name, options, dry_run=how.dry_run))
            case "deletecollection":
                return self._delete_all(request, kind, namespace)
            case _:
                raise method_not_allowed()

    def _list(self, request: Request, kind: Kind, namespace: str) -> Reply:
        found = list_objects(self.registry.store, Selection.of(kind, namespace, request.query), request)
        if tables.wanted(request.headers.get("accept", "")):
            found = tables.table(kind, found["items"], found["metadata"], self.registry.now())
        return json_reply(found)

    def _shown(self, request: Request, kind: Kind, value: Object) -> Reply:
        if tables.wanted(request.headers.get("accept", "")):
            version = {"resourceVersion": value["metadata"]["resourceVersion"]}
            return json_reply(tables.table(kind, [value], version, self.registry.now()))
        return json_reply(value)

    def _watch(self, request: Request, kind: Kind, target: Target) -> Reply:
        chosen = Selection.of(kind, target.namespace, request.query)
        if target.name:
            chosen = replace(chosen, fields=lambda value: bool(value["metadata"]["name"] == target.name))
        watch = Watch(self.registry.store, self.watches, chosen, request)
        show: Callable[[Object], Object] = lambda event: event  # noqa: E731 - the plain case of the next line
        if tables.wanted(request.headers.get("accept", "")):
            show = self._as_table(kind)
        return Reply(body=_lines(watch, show), headers={"content-type": JSON})

    def _as_table(self, kind: Kind) -> Callable[[Object], Object]:
        def shown(event: Object) -> Object:
            value = event["object"]
            if event["type"] not in {"ADDED", "MODIFIED", "DELETED"}:
                return event
            version = {"resourceVersion": value["metadata"]["resourceVersion"]}
            return event | {"object": tables.table(kind, [value], version, self.registry.now())}

        return shown

    def _patch(self, request: Request, target: Target, kind: Kind, how: How) -> Reply:
        if _media_type(request) in patches.APPLY_PATCHES:
            if "fieldManager" not in request.query:
                message = "fieldManager: Required value: is required for apply patch"
                raise Refusal(failure(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {message}'))
            how = replace(how, applied=_body(request), force=request.flag("force"))
            value, new = self.registry.apply(kind, target.namespace, target.name, how)
            return json_reply(value, 201 if new else 200)
        change = _change(request, kind)
        return json_reply(self.registry.patch(kind, target.namespace, target.name, change, how=how))

    def _delete_all(self, request: Request, kind: Kind, namespace: str) -> Reply:
        found = list_objects(self.registry.store, Selection.of(kind, namespace, request.query), request)
        for value in found["items"]:
            metadata = value["metadata"]
            self.registry.delete(kind, metadata.get("namespace", ""), metadata["name"], _options(request))
        return json_reply(found)

    def _scale(self, request: Request, target: Target, kind: Kind, verb: str) -> Reply:
        before = self.registry.require(kind, target.namespace, target.name)
        if verb == "get":
            return json_reply(scale_of(kind, before))
        scale = scale_of(kind, before)
        match verb:
            case "update":
                scale = _body(request)
            case "patch":
                scale = _change(request, kind)(scale)
            case _:
                raise method_not_allowed()
        version = scale["metadata"].get("resourceVersion", before["metadata"]["resourceVersion"])

        def change(value: Object) -> Object:
            value["spec"]["replicas"] = scale["spec"]["replicas"]
            value["metadata"]["resourceVersion"] = version
            return value

        how = replace(_how(request, target), subresource="")
        return json_reply(scale_of(kind, self.registry.patch(kind, target.namespace, target.name, change, how=how)))

    def _token(self, request: Request, target: Target) -> Reply:
        self.registry.require(SERVICE_ACCOUNTS, target.namespace, target.name)
        seconds = (request.json().get("spec") or {}).get("expirationSeconds", TOKEN_SECONDS)
        token = self.tokens.issue(service_account_user(target.namespace, target.name))
        status = {"token": token, "expirationTimestamp": timestamp(self.registry.now() + seconds)}
        told = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}}
        return json_reply(told | {"spec": {"expirationSeconds": seconds}, "status": status}, 201)

    def _review(self, request: Request, verb: str, user: User) -> Reply:
        if verb != "create":
            raise method_not_allowed()
        review = _body(request)
        wanted = review["spec"].get("resourceAttributes") or {}
        names = ("verb", "group", "resource", "subresource", "namespace", "name")
        attempt = Attempt(**{"resource": "", "verb": ""} | {name: wanted[name] for name in names if name in wanted})
        return json_reply(review | {"status": {"allowed": self.access.allows(user, attempt)}}, 201)


def _lines(watch: Watch, show: Callable[[Object], Object]) -> Iterator[bytes]:
    for events in watch.events():
        yield b"".join(json.dumps(show(event), separators=(",", ":")).encode() + b"\n" for event in events)


def _how(request: Request, target: Target) -> How:
    agent = request.headers.get("user-agent", "").partition("/")[0] or "unknown"
    manager = request.query.get("fieldManager") or agent
    return How(subresource=target.subresource, dry_run=request.query.get("dryRun") == "All", manager=manager)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", JSON).partition(";")[0].strip()


def _body(request: Request) -> Object:
    """The object in the body; YAML is told from JSON by its name alone, which it contains."""
    media_type = _media_type(request)
    if media_type == JSON:
        return request.json()
    if media_type not in {"application/yaml", patches.APPLY_PATCHES[0]}:
        raise _unknown_format(JSON, "application/yaml")
    try:
        value = yaml.safe_load(request.body)
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from error
    if not isinstance(value, dict):
        raise bad_request("the object provided is no object")
    return value


def _change(request: Request, kind: Kind) -> Callable[[Object], Any]:
    try:
        patch = json.loads(request.body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    match _media_type(request):
        case patches.JSON_PATCH:
            return lambda value: patches.json_patch(value, patch)
        case patches.MERGE_PATCH:
            return lambda value: patches.merge_patch(value, patch)
        case patches.STRATEGIC_PATCH if not kind.custom:
            return lambda value: patches.strategic_patch(value, patch)
        case _:
            strategic = () if kind.custom else (patches.STRATEGIC_PATCH,)
            raise _unknown_format(patches.JSON_PATCH, patches.MERGE_PATCH, *strategic, patches.APPLY_PATCHES[0])


def _unknown_format(*accepted: str) -> Refusal:
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return Refusal(failure(415, "UnsupportedMediaType", message))


def _options(request: Request) -> Object:
    options = request.json() if request.body.strip() else {}
    if "propagationPolicy" in request.query:
        options["propagationPolicy"] = request.query["propagationPolicy"]
    if (seconds := request.number("gracePeriodSeconds")) is not None:
        options["gracePeriodSeconds"] = seconds
    return options
