"""What to do about one Workspace: what it asks for, compared with what is there. Pure.

| Workspace | its clones | what is done |
|---|---|---|
| there, without our finalizer | any | the finalizer is set, before anything is made |
| there | missing, made of another manifest, or scaled to nothing | applied |
| there | not asked for (any more) | deleted |
| there | as they should be | the status is written, if it is another one |
| its end is asked for | some are left | those not being deleted yet are deleted |
| its end is asked for | some were where the agent sees nothing any more | it is said, and the finalizer stays |
| its end is asked for | none is left | the finalizer is removed |
| gone | some are left | deleted |
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from client.kubernetes.controller.clones import clone_name, clone_of, hash_of, owner_of, service_of
from client.kubernetes.controller.reach import ANYWHERE, Reach
from client.kubernetes.controller.readiness import MAX_MESSAGE, State, condition_of, state_of
from client.kubernetes.controller.seen import Seen
from client.kubernetes.controller.wishes import Place, Wish
from relay.kubernetes import DEPLOYMENTS, PODS, READY, SERVICES, STARTING, Resource, key_of

Object = dict[str, Any]
MAX_FORKS = 128
"""What a Workspace's status can list. More means that an image is used all over the cluster."""

NOT_ALLOWED = "NamespaceNotAllowed"
REFUSED = "Refused"
"""The reason where the API server does not take a write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One object to apply or to delete."""

    resource: Resource
    namespace: str
    name: str
    manifest: Object = field(default_factory=dict, repr=False)
    uid: str = ""
    """Of what is to be deleted: should another one have taken its name, that one stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do, in the order of the fields."""

    hold: bool = False
    """Whether the finalizer is to be set."""
    applies: Sequence[Named] = ()
    deletes: Sequence[Named] = ()
    release: bool = False
    """Whether the finalizer is to be removed."""
    status: Object | None = None
    """The whole new status; None where it is right."""
    forks: Sequence["Fork"] | None = None
    """What the status is about; None where it is about none."""
    problems: Sequence[tuple[str, State]] = ()
    """What else it has to tell."""


@dataclass(slots=True)
class Fork:
    """One Deployment that is cloned."""

    place: Place
    name: str
    """The clone's."""
    state: State = field(default_factory=lambda: State(reason=STARTING, message="its clone is being made"))
    service: bool = False
    """Whether the clone has a Service."""


def decide(wish: Wish, seen: Seen, *, now: str, reach: Reach = ANYWHERE) -> Plan:
    """The plan for a Workspace that is there. `now`: the time, as Kubernetes writes it."""
    lost = _lost(wish, reach)
    if wish.deleted:
        left = leftovers(wish.owner, seen)
        status = status_of(wish, condition_of(lost), now=now) if lost else None
        return Plan(deletes=left, release=wish.held and not lost and not _owned(wish.owner, seen), status=status)
    places, problems = _places(wish, seen, reach)
    if len(places) > MAX_FORKS:
        state = State(
            reason="TooManyForks", message=f"{len(places)} Deployments would be forked, more than {MAX_FORKS}"
        )
        return Plan(hold=not wish.held, status=status_of(wish, state, now=now))
    applies: list[Named] = []
    keep: set[tuple[Resource, Place]] = set()
    forks = []
    for place in places:
        fork = Fork(place=place, name=clone_name(wish, *place))
        keep |= {(DEPLOYMENTS, (place[0], fork.name)), (SERVICES, (place[0], fork.name))}
        applies += _bring_up(wish, seen, fork, keep)
        forks.append(fork)
    problems = [*lost, *problems]
    return Plan(
        hold=not wish.held,
        applies=applies,
        deletes=leftovers(wish.owner, seen, keep=keep),
        status=status_of(wish, _together(forks, problems), forks, reach=reach, now=now),
        forks=forks,
        problems=problems,
    )


def refused(
    wish: Wish, plan: Plan, refusals: Mapping[Place, str], *, now: str, reach: Reach = ANYWHERE
) -> Object | None:
    """The status after a plan of which some things could not be done: by namespace and name, what was answered."""
    left = {place: State(reason=REFUSED, message=message[:MAX_MESSAGE]) for place, message in refusals.items()}
    for fork in plan.forks or ():
        fork.state = left.pop((fork.place[0], fork.name), fork.state)
    others = [("/".join(place), state) for place, state in left.items()]
    state = _together(plan.forks or (), [*others, *plan.problems])
    return status_of(wish, state, plan.forks, reach=reach, now=now)


def leftovers(owner: str, seen: Seen, *, keep: Iterable[tuple[Resource, Place]] = ()) -> Sequence[Named]:
    """What belongs to a Workspace and is not to be kept, as far as nobody deletes it already."""
    kept = set(keep)
    return [
        named
        for named, document in _owned(owner, seen)
        if (named.resource, (named.namespace, named.name)) not in kept
        and "deletionTimestamp" not in document["metadata"]
    ]


def status_of(
    wish: Wish, state: State, forks: Sequence[Fork] | None = None, *, now: str, reach: Reach = ANYWHERE
) -> Object | None:
    """The status that says this, None where the Workspace says it already. Without `forks` those it lists stay."""
    before = wish.document.get("status") or {}
    known = {condition["type"]: condition for condition in before.get("conditions") or ()}
    condition = {
        "type": READY,
        "status": "True" if state.ready else "False",
        "reason": state.reason,
        "message": state.message,
        "observedGeneration": wish.generation,
    }
    last = known.get(READY, {})
    same = last.get("status") == condition["status"]
    condition["lastTransitionTime"] = last["lastTransitionTime"] if same else now
    others = [other for kind, other in known.items() if kind != READY]
    status = {
        "observedGeneration": wish.generation,
        "conditions": [*others, condition],
        "forks": _listed(wish) if forks is None else _fork_statuses(wish, forks, reach),
    }
    return None if status == before else status


def _together(forks: Iterable[Fork], problems: Iterable[tuple[str, State]]) -> State:
    return condition_of([*(("/".join(fork.place), fork.state) for fork in forks), *problems])


def _listed(wish: Wish) -> Sequence[Object]:
    return (wish.document.get("status") or {}).get("forks") or []


def _lost(wish: Wish, reach: Reach) -> Sequence[tuple[str, State]]:
    """What was cloned in namespaces where the agent sees nothing any more, and so can remove nothing."""
    return [
        (f"{fork['namespace']}/{fork['clone']}", State(reason=NOT_ALLOWED, message=f"the clone is left there: {why}"))
        for fork in _listed(wish)
        if not reach.sees(fork["namespace"])
        for why in [reach.objection(fork["namespace"], own=wish.namespace)]
    ]


def _fork_statuses(wish: Wish, forks: Sequence[Fork], reach: Reach) -> Sequence[Object]:
    """What is to be said of forks; those that are out of reach stay, as their clones do."""
    lost = [
        {key: fork[key] for key in ("deployment", "namespace", "clone")} | {"ready": False, "message": "out of reach"}
        for fork in _listed(wish)
        if not reach.sees(fork["namespace"])
    ]
    return [*lost, *(_fork_status(fork) for fork in forks)][:MAX_FORKS]


def _fork_status(fork: Fork) -> Object:
    namespace, deployment = fork.place
    told = {"deployment": deployment, "namespace": namespace, "clone": fork.name, "ready": fork.state.ready}
    if fork.service:
        told["service"] = fork.name
    return told if fork.state.ready else told | {"message": fork.state.message}


def _places(wish: Wish, seen: Seen, reach: Reach) -> tuple[Sequence[Place], Sequence[tuple[str, State]]]:
    """The Deployments to clone: those that are named, then those that run an image; and what is wrong with others."""
    objections = {place: reach.objection(place[0], own=wish.namespace) for place in wish.forks}
    places = dict.fromkeys(place for place in wish.forks if not objections[place])
    problems = [("/".join(place), State(reason=NOT_ALLOWED, message=why)) for place, why in objections.items() if why]
    for image in wish.images:
        everywhere = map(key_of, seen.users(image))
        users = [place for place in everywhere if not reach.objection(place[0], own=wish.namespace)]
        places |= dict.fromkeys(users)
        if not users:
            problem = State(reason="ImageNotUsed", message="no Deployment that the agent may clone runs it")
            problems.append((image, problem))
    return tuple(places), problems


def _bring_up(wish: Wish, seen: Seen, fork: Fork, keep: set[tuple[Resource, Place]]) -> Iterable[Named]:
    """What has to be applied for a fork; notes on it how it stands."""
    namespace, name = fork.place[0], fork.name
    baseline = seen.deployments.get(fork.place)
    clone = seen.deployments.get((namespace, name))
    service = seen.services.get((namespace, name))
    fork.service = service is not None and owner_of(service) == wish.owner  # visitors are led there
    if baseline is None or owner_of(baseline):
        fork.state = State(reason="BaselineNotFound", message="there is no such Deployment that the agent may read")
        return
    if any(found is not None and owner_of(found) != wish.owner for found in (clone, service)):
        fork.state = State(reason="NameTaken", message=f"{namespace}/{name} belongs to somebody else")
        return
    manifest = clone_of(wish, baseline)
    if clone is None or hash_of(clone) != hash_of(manifest) or clone["spec"].get("replicas") == 0:
        yield Named(resource=DEPLOYMENTS, namespace=namespace, name=name, manifest=manifest)
    if clone is None:
        return  # its Service needs its uid
    front = service_of(wish, baseline, seen.services_in(namespace), clone)
    if front is None:
        keep.discard((SERVICES, (namespace, name)))
    elif service is None or hash_of(service) != hash_of(front):
        yield Named(resource=SERVICES, namespace=namespace, name=name, manifest=front)
        return
    if hash_of(clone) == hash_of(manifest) and "deletionTimestamp" not in clone["metadata"]:
        pods = [pod for pod in seen.owned(PODS, wish.owner) if _is_pod_of(pod, clone)]
        fork.state = state_of(clone, pods)


def _is_pod_of(pod: Mapping[str, Any], clone: Mapping[str, Any]) -> bool:
    labels = pod["metadata"].get("labels") or {}
    wanted: Mapping[str, str] = clone["spec"]["selector"]["matchLabels"]
    return pod["metadata"]["namespace"] == clone["metadata"]["namespace"] and wanted.items() <= labels.items()


def _owned(owner: str, seen: Seen) -> Sequence[tuple[Named, Object]]:
    """What belongs to a Workspace: Deployments, then Services."""
    return [
        (
            Named(
                resource=resource,
                namespace=document["metadata"]["namespace"],
                name=document["metadata"]["name"],
                uid=document["metadata"]["uid"],
            ),
            document,
        )
        for resource in (DEPLOYMENTS, SERVICES)
        for document in seen.owned(resource, owner)
    ]
