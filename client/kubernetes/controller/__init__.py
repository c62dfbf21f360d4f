"""Workspaces in the cluster: clones of Deployments as Workspace objects ask for them."""

from client.kubernetes.controller.controller import Controller

__all__ = ["Controller"]
