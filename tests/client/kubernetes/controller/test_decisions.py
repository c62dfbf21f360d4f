"""The controller's table: what is done for what is asked for and what is there."""

from typing import Any

import pytest

from client.kubernetes.controller.clones import clone_of, service_of
from client.kubernetes.controller.decisions import MAX_FORKS, Plan, decide
from client.kubernetes.controller.reach import Reach
from client.kubernetes.controller.seen import Seen
from client.kubernetes.controller.wishes import FINALIZER, Wish, wish_of
from relay.kubernetes import DEPLOYMENTS, SERVICES
from tests.client.kubernetes.controller.test_clones import deployment, service
from tests.client.kubernetes.controller.world import workspace

NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-02T00:00:00Z"
IMAGES = [{"name": "acme/web", "newTag": "2"}]
RUNNING = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}


def wish(*, held: bool = True, deleted: bool = False, status: Any = None, **spec: Any) -> Wish:
    document = workspace("pr-1", **{"images": IMAGES} | spec)
    document["metadata"] |= {"uid": "u1", "generation": 1, "resourceVersion": "1"}
    document["metadata"] |= {"finalizers": [FINALIZER]} if held else {}
    document["metadata"] |= {"deletionTimestamp": NOW} if deleted else {}
    return wish_of(document | ({"status": status} if status else {}))


def there(manifest: Any, **more: Any) -> Any:
    return manifest | {"metadata": manifest["metadata"] | {"uid": "c1", "generation": 1}} | more


def seen(*deployments: Any, services: Any = ()) -> Seen:
    found = Seen()
    for item in deployments:
        found.put(DEPLOYMENTS, None, item)
    for item in services:
        found.put(SERVICES, None, item)
    return found


def complete(asked: Wish) -> Seen:
    """The baseline and the clone, which runs, with its Service."""
    clone = there(clone_of(asked, deployment()), status=RUNNING)
    service = service_of(asked, deployment(), (), clone)
    return seen(deployment(), clone, services=[there(service)])


def applied(plan: Plan) -> list[str]:
    return [named.resource.plural for named in plan.applies]


def deleted(plan: Plan) -> list[str]:
    return [named.resource.plural for named in plan.deletes]


def reason(plan: Plan) -> str:
    assert plan.status is not None
    return str(plan.status["conditions"][-1]["reason"])


def test_the_finalizer_comes_first_then_the_deployment_then_its_service() -> None:
    plan = decide(wish(held=False), seen(deployment()), now=NOW)
    assert (plan.hold, applied(plan), reason(plan)) == (True, ["deployments"], "Starting")
    clone = there(plan.applies[0].manifest)
    plan = decide(wish(), seen(deployment(), clone), now=NOW)
    assert (plan.hold, applied(plan), reason(plan)) == (False, ["services"], "Starting")


def test_what_is_as_it_should_be_is_not_touched() -> None:
    plan = decide(wish(), complete(wish()), now=NOW)
    assert (applied(plan), deleted(plan), reason(plan)) == ([], [], "Ready")
    assert plan.status is not None
    again = decide(wish(status=plan.status), complete(wish()), now=LATER)
    assert (applied(again), deleted(again), again.hold, again.release, again.status) == ([], [], False, False, None)


def test_the_time_of_a_condition_is_that_of_its_last_change() -> None:
    starting = decide(wish(), seen(deployment()), now=NOW).status
    assert starting is not None
    broken = decide(wish(status=starting), seen(), now=LATER).status
    assert broken is not None
    assert (broken["conditions"][0]["status"], broken["conditions"][0]["lastTransitionTime"]) == ("False", NOW)
    ready = decide(wish(status=broken), complete(wish()), now=LATER).status
    assert ready is not None
    assert ready["conditions"][0]["lastTransitionTime"] == LATER


def test_conditions_of_others_stay() -> None:
    theirs = {"type": "Checked", "status": "True"}
    status = decide(wish(status={"conditions": [theirs]}), complete(wish()), now=NOW).status
    assert status is not None
    assert [item["type"] for item in status["conditions"]] == ["Checked", "Ready"]


def test_another_tag_is_applied_and_not_ready_before_it_runs() -> None:
    changed = wish(images=[{"name": "acme/web", "newTag": "3"}])
    plan = decide(changed, complete(wish()), now=NOW)
    assert (applied(plan), reason(plan)) == (["deployments"], "Starting")


def test_a_clone_that_was_scaled_to_nothing_is_applied_again() -> None:
    clone = there(clone_of(wish(), deployment()), status={"observedGeneration": 1})
    clone["spec"] = clone["spec"] | {"replicas": 0}
    service = service_of(wish(), deployment(), (), clone)
    plan = decide(wish(), seen(deployment(), clone, services=[there(service)]), now=NOW)
    assert (applied(plan), reason(plan)) == (["deployments"], "Starting")


def test_what_is_not_asked_for_any_more_is_deleted() -> None:
    plan = decide(wish(images=[]), complete(wish()), now=NOW)
    assert (applied(plan), deleted(plan), reason(plan)) == ([], ["deployments", "services"], "Ready")
    assert {named.uid for named in plan.deletes} == {"c1"}


def test_the_finalizer_goes_when_nothing_is_left() -> None:
    asked = wish(deleted=True)
    plan = decide(asked, complete(wish()), now=NOW)
    assert (deleted(plan), plan.release, plan.status) == (["deployments", "services"], False, None)
    ending = there(clone_of(wish(), deployment()))
    ending["metadata"]["deletionTimestamp"] = NOW
    plan = decide(asked, seen(deployment(), ending), now=NOW)
    assert (deleted(plan), plan.release) == ([], False)
    assert decide(asked, seen(deployment()), now=NOW).release
    assert not decide(wish(deleted=True, held=False), seen(deployment()), now=NOW).release


def test_a_clone_is_no_baseline() -> None:
    clone = there(clone_of(wish(), deployment()), status=RUNNING)
    other = wish_of(
        workspace("pr-2", images=IMAGES)
        | {"metadata": {"namespace": "signadot", "name": "pr-2", "uid": "u2", "finalizers": [FINALIZER]}}
    )
    plan = decide(other, seen(deployment(), clone), now=NOW)
    assert [named.manifest["metadata"]["labels"]["signadot.com/clone-of"] for named in plan.applies] == ["web"]
    named = wish(images=[], forks=[{"namespace": "shop", "deployment": clone["metadata"]["name"]}])
    assert reason(decide(named, seen(deployment(), clone), now=NOW)) == "BaselineNotFound"


def test_too_many_forks_are_none() -> None:
    baselines = [deployment(f"web-{number}") for number in range(MAX_FORKS + 1)]
    plan = decide(wish(), seen(*baselines), now=NOW)
    assert (applied(plan), deleted(plan), reason(plan)) == ([], [], "TooManyForks")
    assert len(applied(decide(wish(), seen(*baselines[1:]), now=NOW))) == MAX_FORKS


@pytest.mark.parametrize("kind", ["deployment", "service"])
def test_what_belongs_to_somebody_else_is_not_touched(kind: str) -> None:
    clone = there(clone_of(wish(), deployment()))
    spec = deployment(containers=[{"name": "theirs", "image": "acme/theirs:1"}])["spec"]
    theirs = {"metadata": {key: clone["metadata"][key] for key in ("name", "namespace")}, "spec": spec}
    found = seen(deployment(), theirs) if kind == "deployment" else seen(deployment(), services=[theirs])
    plan = decide(wish(), found, now=NOW)
    assert (applied(plan), deleted(plan), reason(plan)) == ([], [], "NameTaken")
    assert plan.status is not None
    assert ["service" in fork for fork in plan.status["forks"]] == [False], "no visitor is led there"


def test_what_is_seen_is_forgotten_whole() -> None:
    clone = there(clone_of(wish(), deployment()))
    found = seen(clone)
    assert found.owners() == {"signadot/pr-1"}
    found.put(DEPLOYMENTS, clone, None)
    assert found.owners() == set()
    assert list(found.owned(DEPLOYMENTS, "signadot/pr-1")) == []
    assert found.deployments == {}


def test_what_is_looked_for_is_found_as_it_is_now() -> None:
    def images(*names: str) -> Any:
        return deployment(containers=[{"name": name, "image": name} for name in names])

    def users(name: str) -> list[str]:
        return [item["metadata"]["name"] for item in found.users(name)]

    before, after = images("acme/web:1", "nginx"), images("acme/web:2", "acme/mesh:1")
    found = seen(before, there(clone_of(wish(), before)), services=[service("a", namespace="shop")])
    assert (users("acme/web"), users("docker.io/library/nginx"), users("acme/mesh")) == (["web"], ["web"], [])
    found.put(DEPLOYMENTS, before, after)
    assert (users("acme/web"), users("nginx"), users("acme/mesh")) == (["web"], [], ["web"])
    assert [item["metadata"]["name"] for item in found.services_in("shop")] == ["a"]
    assert found.services_in("pay") == []


@pytest.mark.parametrize("namespace", ["kube-system", "kube-node-lease", "signadot"])
def test_namespaces_of_kubernetes_and_of_the_agent_are_cloned_from_only_by_name(namespace: str) -> None:
    found = seen(deployment(namespace=namespace))
    assert reason(decide(wish(), found, now=NOW)) == "ImageNotUsed"
    named = wish(images=[], forks=[{"namespace": namespace, "deployment": "web"}])
    plan = decide(named, found, now=NOW)
    assert (applied(plan), reason(plan)) == ([], "NamespaceNotAllowed")
    for asked in (wish(), named):
        plan = decide(asked, found, now=NOW, reach=Reach(allowed=frozenset({namespace})))
        assert applied(plan) == ["deployments"]


OUT_OF_REACH = [
    Reach(allowed=frozenset({"pay"})),
    Reach(allowed=frozenset({"pay", "shop"}), unreadable=frozenset({"shop"})),
]


@pytest.mark.parametrize("reach", OUT_OF_REACH, ids=["not allowed", "not readable"])
def test_a_clone_that_is_out_of_reach_is_said_and_holds_its_workspace(reach: Reach) -> None:
    status = decide(wish(), complete(wish()), now=NOW).status
    for _ in range(2):
        plan = decide(wish(status=status), seen(), now=LATER, reach=reach)
        assert (applied(plan), deleted(plan), reason(plan)) == ([], [], "NamespaceNotAllowed")
        assert plan.status is not None
        status = plan.status | {"observedGeneration": 0}
        (fork,) = status["forks"]
        assert (fork["namespace"], fork["deployment"], fork["ready"], "service" in fork) == (
            "shop",
            "web",
            False,
            False,
        )
    plan = decide(wish(status=status, deleted=True), seen(), now=LATER, reach=reach)
    assert (plan.release, reason(plan)) == (False, "NamespaceNotAllowed")
    plan = decide(wish(status=status, deleted=True), complete(wish()), now=LATER)
    assert (deleted(plan), plan.release) == (["deployments", "services"], False)
    assert decide(wish(status=status, deleted=True), seen(), now=LATER).release


@pytest.mark.parametrize("reach", OUT_OF_REACH, ids=["not allowed", "not readable"])
def test_what_never_was_cloned_holds_nothing(reach: Reach) -> None:
    forks = [{"namespace": "shop", "deployment": "web"}]
    plan = decide(wish(forks=forks, images=[]), seen(), now=NOW, reach=reach)
    assert reason(plan) == "NamespaceNotAllowed"
    assert decide(wish(forks=forks, status=plan.status, deleted=True), seen(), now=LATER, reach=reach).release
