"""Claims about who may do what, held against the fake and against a real API server."""

from tests.kubernetes.asking import RBAC, READ_PODS, REVIEWS, Api, config


def test_a_token_that_is_not_known_is_refused(api: Api) -> None:
    answer = api.as_user("not-a-token").ask("GET", f"{api.core}/pods")
    assert answer.status == 401
    status = answer.json()
    assert (status["kind"], status["reason"], status["message"]) == ("Status", "Unauthorized", "Unauthorized")


def test_nobody_may_ask_for_the_version_and_no_more(api: Api) -> None:
    nobody = api.as_user(None)
    assert nobody.ask("GET", "/version").json()["gitVersion"].startswith("v1.")
    answer = nobody.ask("GET", f"{api.core}/pods")
    assert answer.status == 403
    assert 'User "system:anonymous" cannot list resource "pods"' in answer.json()["message"]


def test_what_no_rule_allows_is_forbidden_in_words(api: Api) -> None:
    reader = api.account("reader", [READ_PODS])
    assert reader.ask("GET", f"{api.core}/pods").status == 200
    answer = reader.ask("GET", f"{api.core}/secrets/s")
    assert answer.status == 403
    assert answer.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": (
            f'secrets "s" is forbidden: User "system:serviceaccount:{api.namespace}:reader" cannot get resource '
            f'"secrets" in API group "" in the namespace "{api.namespace}"'
        ),
        "reason": "Forbidden",
        "details": {"name": "s", "kind": "secrets"},
        "code": 403,
    }


def test_rights_in_a_namespace_are_none_elsewhere(api: Api) -> None:
    reader = api.account("reader", [READ_PODS])
    assert reader.ask("GET", "/api/v1/namespaces/default/pods").status == 403
    answer = reader.ask("GET", "/api/v1/pods")
    assert answer.status == 403
    assert answer.json()["message"].endswith('cannot list resource "pods" in API group "" at the cluster scope')


def test_rights_everywhere_hold_in_every_namespace(api: Api) -> None:
    reader = api.account("reader", [READ_PODS], everywhere=True)
    assert reader.ask("GET", "/api/v1/namespaces/default/pods").status == 200
    assert reader.ask("GET", "/api/v1/pods").status == 200
    assert reader.ask("DELETE", "/api/v1/namespaces/default/pods/p").status == 403


def test_a_cluster_role_bound_in_a_namespace_holds_there_only(api: Api) -> None:
    role = {"metadata": {"name": api.namespace}, "rules": [READ_PODS]}
    api.create(f"{RBAC}/clusterroles", role)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": api.namespace}
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": api.namespace}
    binding = {"metadata": {"name": "bound"}, "roleRef": reference, "subjects": [subject]}
    api.create(f"{RBAC}/namespaces/{api.namespace}/rolebindings", binding)
    reader = api.account("reader", [])
    reader.wait_until_allowed(READ_PODS)
    assert reader.ask("GET", f"{api.core}/pods").status == 200
    assert reader.ask("GET", "/api/v1/namespaces/default/pods").status == 403
    assert reader.ask("GET", "/api/v1/pods").status == 403


def test_a_part_of_a_resource_needs_a_right_of_its_own(api: Api) -> None:
    reader = api.account("reader", [READ_PODS])
    answer = reader.ask("GET", f"{api.core}/pods/p/log")
    assert answer.status == 403
    assert 'cannot get resource "pods/log" in API group ""' in answer.json()["message"]
    writer = api.account("writer", [{"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]}])
    merge = "application/merge-patch+json"
    assert writer.ask("PATCH", f"{api.core}/pods/p/status", {}, content=merge).status == 404
    assert writer.ask("PATCH", f"{api.core}/pods/p", {}, content=merge).status == 403


def test_a_right_can_be_for_names_only(api: Api) -> None:
    for name in ("a", "b"):
        api.create(f"{api.core}/configmaps", config(name))
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["a"]}
    reader = api.account("reader", [rule])
    assert reader.ask("GET", f"{api.core}/configmaps/a").status == 200
    assert reader.ask("GET", f"{api.core}/configmaps/b").status == 403
    assert reader.ask("GET", f"{api.core}/configmaps").status == 403


def test_a_verb_and_a_group_are_rights_of_their_own(api: Api) -> None:
    rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]}
    lister = api.account("lister", [rule])
    assert lister.ask("GET", f"{api.apps}/deployments").status == 200
    assert lister.ask("GET", f"{api.apps}/deployments", watch="true").status == 403
    assert lister.ask("GET", f"{api.apps}/deployments/d").status == 403
    assert lister.ask("GET", f"{api.apps}/replicasets").status == 403


def test_rights_go_before_what_is_there(api: Api) -> None:
    reader = api.account("reader", [READ_PODS])
    assert reader.ask("GET", "/apis/nowhere.example.com/v1/things").status == 403
    assert reader.ask("GET", f"{api.core}/configmaps/nothing").status == 403


def test_impersonation_is_a_right_too(api: Api) -> None:
    reader = api.account("reader", [READ_PODS])
    headers = [("Impersonate-User", "kubernetes-admin"), ("Impersonate-Group", "system:masters")]
    answer = reader.ask("GET", f"{api.core}/secrets", headers=headers)
    assert answer.status == 403
    assert "cannot impersonate" in answer.json()["message"]


def test_one_may_ask_what_one_may(api: Api) -> None:
    reader = api.account("reader", [READ_PODS])

    def allowed(**attributes: str) -> bool:
        question = {"spec": {"resourceAttributes": attributes | {"namespace": api.namespace}}}
        answer = reader.ask("POST", REVIEWS, question)
        assert answer.status == 201
        return bool(answer.json()["status"]["allowed"])

    assert allowed(verb="list", resource="pods")
    assert not allowed(verb="list", resource="secrets")
    assert not allowed(verb="get", resource="pods", subresource="log")
