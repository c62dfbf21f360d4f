"""What the API says about itself, as far as kubectl asks."""

from typing import Any

from tests.support.fake_kubernetes.kinds import VERBS, Kind, Kinds
from tests.support.fake_kubernetes.registry import scalable
from tests.support.fake_kubernetes.wire import Object, Reply, json_reply, no_such_path

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.3",
    "gitCommit": "0" * 40,
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.26.0",
    "compiler": "gc",
    "platform": "linux/amd64",
}
OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_SUBRESOURCE_VERBS = {
    "status": ["get", "patch", "update"],
    "scale": ["get", "patch", "update"],
    "log": ["get"],
    "token": ["create"],
}
_REVIEW = {
    "name": "selfsubjectaccessreviews",
    "singularName": "selfsubjectaccessreview",
    "namespaced": False,
    "kind": "SelfSubjectAccessReview",
    "verbs": ["create"],
}


def answer(path: str, kinds: Kinds) -> Reply:
    """The document at a path that is no resource. Raises Refusal."""
    match path.strip("/").split("/"):
        case ["version"]:
            return json_reply(VERSION)
        case ["healthz" | "livez" | "readyz"]:
            return Reply(body=b"ok", headers={"content-type": "text/plain; charset=utf-8"})
        case ["openapi", version, *rest]:
            return _openapi(version, "/".join(rest), kinds)
        case ["api" | "apis" as prefix, *rest]:
            return json_reply(_discovered(prefix, rest, kinds))
        case _:
            raise no_such_path()


def _discovered(prefix: str, rest: list[str], kinds: Kinds) -> Object:
    match prefix, rest:
        case "api", []:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case "apis", []:
            groups = [_group(name, kinds) for name in _groups(kinds)]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case "apis", [group] if group in _groups(kinds):
            return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, kinds)
        case "api", ["v1"]:
            return _resources("", "v1", kinds)
        case "apis", [group, version] if group in _groups(kinds) and version in _versions(group, kinds):
            return _resources(group, version, kinds)
        case _:
            raise no_such_path()


def _openapi(version: str, rest: str, kinds: Kinds) -> Reply:
    if version == "v2" and not rest:
        # An empty document: clients that check objects by it find no schema, and leave the checks to the server.
        return Reply(headers={"content-type": OPENAPI_V2})
    if version == "v3" and not rest:
        return json_reply({"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in _paths(kinds)}})
    if version == "v3" and rest in _paths(kinds):
        return json_reply(_document(rest, kinds))
    raise no_such_path()


def _groups(kinds: Kinds) -> list[str]:
    return list(dict.fromkeys([kind.group for kind in kinds.all() if kind.group] + ["authorization.k8s.io"]))


def _versions(group: str, kinds: Kinds) -> list[str]:
    found = [kind.version for kind in kinds.all() if kind.group == group]
    return list(dict.fromkeys(found)) or ["v1"]


def _group(name: str, kinds: Kinds) -> Object:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions(name, kinds)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resources(group: str, version: str, kinds: Kinds) -> Object:
    listed: list[Any] = [_REVIEW] if group == "authorization.k8s.io" else []
    for kind in kinds.all():
        if (kind.group, kind.version) == (group, version):
            listed += _resource(kind)
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": listed}


def _resource(kind: Kind) -> list[Object]:
    main: Object = {
        "name": kind.plural,
        "singularName": kind.name.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": list(VERBS),
    }
    main |= {"shortNames": list(kind.short)} if kind.short else {}
    main |= {"categories": list(kind.categories)} if kind.categories else {}
    return [main, *(_subresource(kind, name) for name in kind.subresources)]


def _subresource(kind: Kind, name: str) -> Object:
    told: Object = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
    if name == "scale" and scalable(kind):
        told |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    elif name == "token":
        told |= {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}
    else:
        told |= {"kind": kind.name}
    return told | {"verbs": _SUBRESOURCE_VERBS[name]}


def _paths(kinds: Kinds) -> list[str]:
    return list(dict.fromkeys(kind.base_path.strip("/") for kind in kinds.all()))


def _document(path: str, kinds: Kinds) -> Object:
    """Just what clients look for: whether a patch can be validated, and tried without effect, by the server."""
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    paths = {}
    for kind in kinds.all():
        if kind.base_path.strip("/") == path:
            meant = {"group": kind.group, "version": kind.version, "kind": kind.name}
            patch = {"parameters": parameters, "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": meant}
            at = kind.path("{namespace}" if kind.namespaced else "", "{name}")
            paths[at] = {"patch": patch | {"responses": {"200": {"description": "OK"}}}}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]}, "paths": paths}
