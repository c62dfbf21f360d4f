"""Which kinds of objects there are: those of Kubernetes that matter here, and those of CustomResourceDefinitions."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.fake_kubernetes.wire import Object, Refusal, failure

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind in one version, and the resource under which it is found."""

    group: str = ""
    version: str = "v1"
    name: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    generation: bool = False
    """Whether a change of anything but metadata and status counts metadata.generation up."""
    schema: Any = field(default=None, compare=False, hash=False)
    """The OpenAPI schema of a custom resource; None for those of Kubernetes, which are not checked in full."""
    columns: tuple[Any, ...] = field(default=(), compare=False, hash=False)
    """additionalPrinterColumns of a custom resource."""

    @property
    def custom(self) -> bool:
        """Whether a CustomResourceDefinition made it."""
        return self.schema is not None

    @property
    def api_version(self) -> str:
        """As objects name it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`deployments.apps`, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_name(self) -> str:
        """`Deployment.apps`, as other messages name it."""
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def has_status(self) -> bool:
        """Whether status is written by its own path only."""
        return "status" in self.subresources

    @property
    def base_path(self) -> str:
        """Where its version is found."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of a collection, an object or a part of one."""
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{self.base_path}{inside}/{self.plural}{tail}"

    def details(self, name: str, **more: Any) -> Object:
        """The StatusDetails of an answer about one of them."""
        group = {"group": self.group} if self.group else {}
        return ({"name": name} if name else {}) | group | {"kind": self.plural} | more

    def not_found(self, name: str) -> Refusal:
        """404."""
        return Refusal(failure(404, "NotFound", f'{self.qualified} "{name}" not found', self.details(name)))

    def exists(self, name: str) -> Refusal:
        """409 for a name that is taken."""
        return Refusal(failure(409, "AlreadyExists", f'{self.qualified} "{name}" already exists', self.details(name)))

    def conflict(self, name: str, why: str | None = None, *, named: str | None = None) -> Refusal:
        """409 for an object that is no longer the one the caller knows."""
        why = why or "the object has been modified; please apply your changes to the latest version and try again"
        message = f'Operation cannot be fulfilled on {named or self.qualified} "{name}": {why}'
        return Refusal(failure(409, "Conflict", message, self.details(name)))

    def invalid(self, name: str, *problems: tuple[str, str, str]) -> Refusal:
        """422; each problem is (reason, message, field), such as ("FieldValueRequired", "Required value", "spec")."""
        told = [f"{where}: {message}" for _reason, message, where in problems]
        together = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
        listed = [{"reason": reason, "message": message, "field": where} for reason, message, where in problems]
        details = self.details(name, causes=listed) | {"kind": self.name}
        return Refusal(failure(422, "Invalid", f'{self.qualified_name} "{name}" is invalid: {together}', details))


NAMESPACES = Kind(name="Namespace", plural="namespaces", namespaced=False, short=("ns",), subresources=("status",))
PODS = Kind(
    name="Pod", plural="pods", short=("po",), categories=("all",), subresources=("log", "status"), generation=True
)
SERVICES = Kind(name="Service", plural="services", short=("svc",), categories=("all",), subresources=("status",))
SERVICE_ACCOUNTS = Kind(name="ServiceAccount", plural="serviceaccounts", short=("sa",), subresources=("token",))
DEPLOYMENTS = Kind(
    group="apps", name="Deployment", plural="deployments", short=("deploy",), categories=("all",),
    subresources=("scale", "status"), generation=True,
)  # fmt: skip
REPLICA_SETS = Kind(
    group="apps", name="ReplicaSet", plural="replicasets", short=("rs",), categories=("all",),
    subresources=("scale", "status"), generation=True,
)  # fmt: skip
ENDPOINT_SLICES = Kind(group="discovery.k8s.io", name="EndpointSlice", plural="endpointslices", generation=True)
CRDS = Kind(
    group="apiextensions.k8s.io", name="CustomResourceDefinition", plural="customresourcedefinitions",
    namespaced=False, short=("crd", "crds"), categories=("api-extensions",), subresources=("status",), generation=True,
)  # fmt: skip
_RBAC = "rbac.authorization.k8s.io"
ROLES = Kind(group=_RBAC, name="Role", plural="roles")
ROLE_BINDINGS = Kind(group=_RBAC, name="RoleBinding", plural="rolebindings")
CLUSTER_ROLES = Kind(group=_RBAC, name="ClusterRole", plural="clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = Kind(group=_RBAC, name="ClusterRoleBinding", plural="clusterrolebindings", namespaced=False)

BUILT_IN = (
    NAMESPACES,
    PODS,
    SERVICES,
    SERVICE_ACCOUNTS,
    Kind(name="ConfigMap", plural="configmaps", short=("cm",)),
    Kind(name="Secret", plural="secrets"),
    Kind(name="Node", plural="nodes", namespaced=False, short=("no",), subresources=("status",)),
    Kind(name="Event", plural="events", short=("ev",)),
    Kind(group="events.k8s.io", name="Event", plural="events", short=("ev",)),
    DEPLOYMENTS,
    REPLICA_SETS,
    ENDPOINT_SLICES,
    Kind(group="coordination.k8s.io", name="Lease", plural="leases"),
    CRDS,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
)


class Kinds:
    """All kinds that the API serves now."""

    def __init__(self) -> None:
        self._built_in = {(kind.group, kind.version, kind.plural): kind for kind in BUILT_IN}
        self._custom: dict[str, tuple[Kind, ...]] = {}

    def all(self) -> list[Kind]:
        """Those of Kubernetes first."""
        return [*self._built_in.values(), *(kind for kinds in self._custom.values() for kind in kinds)]

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind of a path."""
        wanted = (group, version, plural)
        return next((kind for kind in self.all() if (kind.group, kind.version, kind.plural) == wanted), None)

    def of(self, value: Object) -> Kind:
        """The kind of an object, by its apiVersion and kind. Raises KeyError."""
        return self.named(str(value["kind"]), str(value["apiVersion"]))

    def named(self, name: str, api_version: str | None = None) -> Kind:
        """A kind by its name, `Deployment` or `deployments`. Raises KeyError."""
        for kind in self.all():
            if name in {kind.name, kind.plural, kind.qualified} and api_version in {None, kind.api_version}:
                return kind
        raise KeyError(f"no kind {name} in {api_version or 'any version'}")

    def define(self, crd: Object) -> None:
        """Serves what a CustomResourceDefinition says."""
        self._custom[crd["metadata"]["name"]] = tuple(
            _custom(crd["spec"], version) for version in crd["spec"]["versions"] if version.get("served")
        )

    def forget(self, crd_name: str) -> tuple[Kind, ...]:
        """Serves them no more; gives what they were."""
        return self._custom.pop(crd_name, ())


def _custom(spec: Object, version: Object) -> Kind:
    names = spec["names"]
    return Kind(
        group=spec["group"],
        version=version["name"],
        name=names["kind"],
        plural=names["plural"],
        namespaced=spec["scope"] == "Namespaced",
        short=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        subresources=tuple(sorted(version.get("subresources") or {})),
        generation=True,
        schema=version.get("schema", {}).get("openAPIV3Schema", {}),
        columns=tuple(version.get("additionalPrinterColumns", ())),
    )
