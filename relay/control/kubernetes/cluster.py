"""One cluster's API over streams to its agent."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from relay.errors import RelayError
from relay.kubernetes import STREAM_ADDRESS, Answer, ApiRequest, KubernetesClient, UnavailableError, ask
from relay.mux import ResetCode
from relay.transport import MuxStream

OpenStream = Callable[[str], Awaitable[MuxStream]]
"""Opens a stream of kind `kubernetes` to an agent of the cluster with this id. Raises ClusterOfflineError."""
OwnNamespace = Callable[[str], str]
"""The namespace of the agent of the cluster with this id. Raises ClusterOfflineError."""


class ClusterApi(KubernetesClient):
    """What may be asked of one cluster: docs/kubernetes.md has the table that its agent keeps to.

    All verbs raise ClusterOfflineError where no agent is connected, and ForbiddenError with the agent's sentence for
    what it does not let through.
    """

    def __init__(self, cluster_id: str, *, open_stream: OpenStream, own_namespace: OwnNamespace) -> None:
        self.cluster_id = cluster_id
        self._open_stream = open_stream
        self._own_namespace = own_namespace

    @property
    def namespace(self) -> str:
        """The agent's namespace, where Workspace objects are. Raises ClusterOfflineError."""
        return self._own_namespace(self.cluster_id)

    @asynccontextmanager
    async def exchange(self, request: ApiRequest) -> AsyncIterator[Answer]:
        """One request on a stream of its own. Leaving before the answer's end ends it in the cluster, too."""
        stream = await self._open_stream(self.cluster_id)
        answer: Answer | None = None
        try:
            answer = await self._ask(stream, request)
            yield answer
        finally:
            if answer is not None and answer.done:
                await stream.aclose()
            else:
                stream.reset(ResetCode.CANCELLED, "the relay needs no more of this answer")

    async def _ask(self, stream: MuxStream, request: ApiRequest) -> Answer:
        try:
            return await ask(stream, request.encode(host=STREAM_ADDRESS[0]), request.method)
        except UnavailableError as error:
            if isinstance(error.__cause__, RelayError):
                raise UnavailableError(f"the agent does not answer: {error.__cause__}") from error
            raise
