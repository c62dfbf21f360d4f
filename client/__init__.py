"""The agent: dials the relay from inside a cluster and serves its streams."""

from importlib.metadata import version

__version__ = version("signadot-relay")
