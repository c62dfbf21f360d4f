"""Serves visitors: reads requests, decides where they go, forwards them."""

from relay.ingress.admission import Admission
from relay.ingress.connection import Shared, VisitorConnection
from relay.ingress.login import CookieKeys, PreviewLogins
from relay.ingress.server import Ingress
from relay.ingress.settings import AsgiApp, Hosts, IngressLimits

__all__ = [
    "Admission",
    "AsgiApp",
    "CookieKeys",
    "Hosts",
    "Ingress",
    "IngressLimits",
    "PreviewLogins",
    "Shared",
    "VisitorConnection",
]
