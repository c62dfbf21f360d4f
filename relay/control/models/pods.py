"""Pods of a workspace as the API speaks of them."""

from pydantic import Field

from relay.control.models.common import Answer


class ContainerAnswer(Answer):
    """A container of a pod."""

    name: str = Field(examples=["web"])
    state: str = Field(examples=["running"])
    """`running`, `waiting` or `terminated`."""
    reason: str = Field(examples=["CrashLoopBackOff"])
    """Why it does not run, in Kubernetes' words; may be empty."""
    restarts: int = Field(examples=[0])


class PodAnswer(Answer):
    """A pod of a workspace."""

    name: str = Field(examples=["web-7d4b9c6f5d-x2x9q"])
    namespace: str = Field(examples=["shop"])
    origin: str = Field(examples=["workspace"])
    """`workspace`: of its own clones; `service/NAME`: behind a Service that one of its endpoints leads to."""
    phase: str = Field(examples=["Running"])
    created_at: str = Field(examples=["2026-11-23T20:29:00Z"])
    containers: list[ContainerAnswer]
    """Those that prepare the pod first."""


class PodList(Answer):
    """The pods of a workspace."""

    items: list[PodAnswer]
