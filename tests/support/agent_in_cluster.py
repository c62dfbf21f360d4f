"""`signadot-agent` in a pod of the fake Kubernetes: with the cluster's DNS, and its virtual addresses of Services.

Both are the node's work in a real cluster. The agent's own code is used as it is, but for the two calls of the
operating system that ask for them. FAKE_CLUSTER says how the cluster is read.
"""

import json
import os
import socket
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import trio

from client import __main__ as program
from client import targets
from client.addresses import Address
from client.kubernetes.api import KubeApi
from client.kubernetes.settings import InCluster
from relay.kubernetes import ENDPOINT_SLICES, SERVICES, NotFoundError, Where

VARIABLE = "FAKE_CLUSTER"
SystemNetwork = targets.SystemNetwork


def environment(cluster: InCluster) -> dict[str, str]:
    """The variable that tells an agent's process of a cluster; its token may read Services and EndpointSlices."""
    facts = {
        "host": cluster.host,
        "port": cluster.port,
        "token_file": str(cluster.token_file),
        "ca_file": str(cluster.ca_file),
        "namespace": cluster.namespace,
    }
    return {VARIABLE: json.dumps(facts)}


class ClusterNetwork:
    """What a node does for its pods."""

    def __init__(self) -> None:
        facts = json.loads(os.environ[VARIABLE])
        for name in ("token_file", "ca_file"):
            facts[name] = Path(facts[name])
        self._api = KubeApi(InCluster(**facts))

    async def resolve(self, name: str) -> Sequence[Address]:
        """The address of the Service `NAME.NAMESPACE.svc`."""
        service, namespace, *_ = name.split(".")
        try:
            found = await self._api.get(SERVICES, namespace, service)
        except NotFoundError:
            raise socket.gaierror(socket.EAI_NONAME, "no such Service") from None
        return [ip_address(found["spec"]["clusterIP"])]

    async def connect(self, address: Address, port: int) -> trio.abc.HalfCloseableStream:
        """Connects to a pod that is ready behind a Service's address, or to any other address as it is."""
        services = (await self._api.list(SERVICES)).items
        service = next((item for item in services if item["spec"].get("clusterIP") == str(address)), None)
        if service is None:
            return await SystemNetwork().connect(address, port)
        name = next(item.get("name", "") for item in service["spec"]["ports"] if item["port"] == port)
        pod, pod_port = await self._ready_pod(service, name)
        return await SystemNetwork().connect(ip_address(pod), pod_port)

    async def _ready_pod(self, service: dict[str, Any], port: str) -> tuple[str, int]:
        metadata = service["metadata"]
        labels = f"kubernetes.io/service-name={metadata['name']}"
        slices = await self._api.list(ENDPOINT_SLICES, Where(namespace=metadata["namespace"], labels=labels))
        for item in slices.items:
            number = next(one["port"] for one in item["ports"] if one.get("name", "") == port)
            for endpoint in item["endpoints"]:
                if endpoint["conditions"]["ready"]:
                    return endpoint["addresses"][0], number
        raise ConnectionRefusedError


if __name__ == "__main__":
    targets.SystemNetwork = ClusterNetwork  # type: ignore[misc,assignment]
    sys.exit(program.main())
