"""Pages for people."""

from relay.dashboard.pages import make_app

__all__ = ["make_app"]
