"""Pods of a workspace and their logs, which pass through the relay and stay nowhere."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from starlette.responses import Response

from relay.auth import Action, Membership
from relay.control.access import ServicesOf, membership_for
from relay.control.kubernetes.log_budget import LogBudget
from relay.control.kubernetes.log_forms import LogForm, PlainText, ServerSentEvents
from relay.control.kubernetes.log_stream import LogChoice, LogStream
from relay.control.kubernetes.pods import Pod, Selection, Workspace, distinct, list_pods, selections
from relay.control.models.common import timestamp
from relay.control.models.pods import ContainerAnswer, PodAnswer, PodList
from relay.control.parameters import WorkspaceName
from relay.control.routing import Answers, answers, make_router
from relay.control.services import Services
from relay.errors import ClusterOfflineError, ForbiddenError, NotFoundError
from relay.kubernetes import CAPABILITY_KUBERNETES, CAPABILITY_POD_LOGS, KubernetesClient, UnavailableError
from relay.routing import is_fork_target, parse_target
from relay.store import records, workspaces

PATH = "/orgs/{org}/workspaces/{name}"
MOST_NUMBER = 10**9 - 1
"""The longest that an agent lets through: 30 years, or a billion lines."""
SHOWN = 20
"""Names in a sentence."""

router = make_router("pods")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_WORKSPACES))]
PodName = Annotated[
    str,
    Query(
        pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$", description="Only this pod; else all.", examples=["web-1"]
    ),
]
ContainerName = Annotated[
    str,
    Query(
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$",
        description="Only this container of each pod; else all.",
        examples=["web"],
    ),
]
Follow = Annotated[bool, Query(description="Go on with what comes, also of pods that come later.")]
Since = Annotated[
    int | None, Query(alias="sinceSeconds", ge=1, le=MOST_NUMBER, description="Only lines that are no older.")
]
Tail = Annotated[
    int | None, Query(alias="tailLines", ge=0, le=MOST_NUMBER, description="Only the last lines of each container.")
]
Timestamps = Annotated[bool, Query(description="Each line begins with the time at which it was written.")]
STREAM: Answers = {
    200: {
        "description": "The lines as they come, in chunks. With `Accept: text/event-stream` each is an event `line`.",
        "content": {
            "text/plain": {
                "schema": {"type": "string", "examples": ["web-7d4b9c6f5d-x2x9q/web GET / 200\n"]},
            },
            "text/event-stream": {
                "schema": {
                    "type": "string",
                    "examples": [
                        'event: line\ndata: {"namespace": "shop", "pod": "web-1", "container": "web", "line": "ok"}\n\n'
                    ],
                },
            },
        },
    }
}


def log_choice(
    *,
    pod: PodName = "",
    container: ContainerName = "",
    follow: Follow = False,
    since_seconds: Since = None,
    tail_lines: Tail = None,
    timestamps: Timestamps = False,
) -> LogChoice:
    """What the query asks for."""
    return LogChoice(
        pod=pod,
        container=container,
        follow=follow,
        since_seconds=since_seconds,
        tail_lines=tail_lines,
        timestamps=timestamps,
    )


ChoiceOf = Annotated[LogChoice, Depends(log_choice)]


class LogAnswer(Response):
    """An answer whose body is a log stream; it is counted while it lasts."""

    media_type = PlainText.media_type

    def __init__(self, form: LogForm, count: Callable[[], Any], run: Callable[[Any], Awaitable[None]]) -> None:
        super().__init__(media_type=form.media_type)
        del self.headers["content-length"]
        self._count = count
        self._run = run

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - a visitor who leaves cancels
        """Raises TooManyLogStreamsError before anything is sent."""

        async def send_part(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        with self._count():
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send_part(b"")  # the head leaves now: the first line may take its time
            await self._run(send_part)
            await send({"type": "http.response.body", "body": b"", "more_body": False})


@router.get(PATH + "/pods", responses=answers(404, 502))
async def list_workspace_pods(*, services: ServicesOf, member: Reader, name: WorkspaceName) -> PodList:
    """The pods of the workspace: those of its clones, and those behind the Services that its endpoints lead to."""
    workspace = await services.database.read(workspaces.require, member.org_id, name)
    _require_kubernetes(services, workspace)
    _, pods = await _find(services, member.org, workspace)
    return PodList(items=[_answer(pod) for pod in pods])


@router.get(PATH + "/logs", responses=answers(404, 502) | STREAM, response_class=Response)
async def read_workspace_logs(
    *, request: Request, services: ServicesOf, member: Reader, name: WorkspaceName, choice: ChoiceOf
) -> LogAnswer:
    """The logs of the workspace's pods, each line behind `pod/container `; lines that begin with `# ` are the relay's.

    They pass through and are written nowhere. A visitor who leaves ends the stream in the cluster.
    """
    workspace = await services.database.read(workspaces.require, member.org_id, name)
    _require_kubernetes(services, workspace)
    _require_logs(services, workspace)
    found, pods = await _find(services, member.org, workspace)
    _require_choice(choice, pods, name)
    form: LogForm = ServerSentEvents() if _wants_events(request.headers.get("accept", "")) else PlainText()
    budget: LogBudget = request.app.state.log_budget
    api = services.cluster_api(workspace.cluster_id)

    async def run(send: Callable[[bytes], Awaitable[None]]) -> None:
        stream = LogStream(api, choice, form, send, budget=budget, org_id=member.org_id)
        await stream.run(found, pods)

    return LogAnswer(form, lambda: budget.stream(member.org_id), run)


def _require_kubernetes(services: Services, workspace: records.Workspace) -> None:
    """Raises ClusterOfflineError, UnavailableError."""
    status, cluster = services.cluster_status(workspace.cluster_id), workspace.spec.cluster
    if not status.online:
        since = "no agent has connected yet" if status.since is None else f"since {timestamp(status.since)}"
        raise ClusterOfflineError(f"the cluster {cluster!r} is offline: {since}", since=status.since)
    if CAPABILITY_KUBERNETES not in status.capabilities:
        raise UnavailableError(f"the agent of the cluster {cluster!r} has no access to Kubernetes (see --kubernetes)")


def _require_logs(services: Services, workspace: records.Workspace) -> None:
    """Raises ForbiddenError."""
    if CAPABILITY_POD_LOGS not in services.cluster_status(workspace.cluster_id).capabilities:
        raise ForbiddenError(
            f"the cluster {workspace.spec.cluster!r} withholds the logs of its pods: "
            "its operator can set podLogs.enabled to true in the values of the chart signadot-operator "
            "(--pod-logs of signadot-agent)"
        )


async def _find(
    services: Services, org: str, workspace: records.Workspace
) -> tuple[Sequence[Selection], Sequence[Pod]]:
    """Where the workspace's pods are looked for, and those that there are now. Raises KubernetesError."""
    api: KubernetesClient = services.cluster_api(workspace.cluster_id)
    found = await selections(
        api,
        Workspace(
            name=workspace.name,
            org=org,
            hosts=tuple(
                parse_target(endpoint.target)[0]
                for endpoint in workspace.spec.endpoints
                if not is_fork_target(endpoint.target)  # the clone's pods have the workspace's label
            ),
            allowed_namespaces=services.cluster_status(workspace.cluster_id).allowed_namespaces,
        ),
    )
    pods: list[Pod] = []
    for selection in found:
        pods += (await list_pods(api, selection))[0]
    return found, distinct(pods)


def _require_choice(choice: LogChoice, pods: Sequence[Pod], name: str) -> None:
    """Raises NotFoundError, with what there is, for a choice that nothing fits."""
    if any(choice.containers(pod) for pod in pods):
        return
    if not pods:
        if choice.follow and not choice.pod:
            return  # they may come
        raise NotFoundError(
            f"the workspace {name!r} has no pods now: there are none with its label, and none behind its endpoints"
        )
    if choice.pod and choice.pod not in {pod.name for pod in pods}:
        raise NotFoundError(
            f"the workspace {name!r} has no pod {choice.pod!r}; there are {_listed(pod.name for pod in pods)}"
        )
    there = {f"{pod.name}/{container.name}": None for pod in pods for container in pod.containers}
    raise NotFoundError(
        f"no such pod of the workspace {name!r} has a container {choice.container!r}; there are {_listed(there)}"
    )


def _listed(names: Any) -> str:
    known = list(names)
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return ", ".join(known[:SHOWN]) + more


def _wants_events(accept: str) -> bool:
    kinds = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return ServerSentEvents.media_type in kinds


def _answer(pod: Pod) -> PodAnswer:
    return PodAnswer(
        name=pod.name,
        namespace=pod.namespace,
        origin=pod.origin,
        phase=pod.phase,
        created_at=pod.created_at,
        containers=[
            ContainerAnswer(
                name=container.name, state=container.state, reason=container.reason, restarts=container.restarts
            )
            for container in pod.containers
        ],
    )
