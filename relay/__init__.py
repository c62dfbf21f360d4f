"""The relay: accepts tunnels from agents in clusters and routes visitors' requests for previews over them."""

from importlib.metadata import version

__version__ = version("signadot-relay")
