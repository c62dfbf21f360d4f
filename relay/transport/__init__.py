"""Trio byte streams under and over the mux: TLS, WebSocket, forward proxies, the tunnel and its streams."""

from relay.transport.copy import copy_both_ways
from relay.transport.ending import TunnelEnd
from relay.transport.listener import Handshakes, ListenerLimits, Refused, serve_tls
from relay.transport.proxy import ForwardProxy, parse_proxy, proxy_for
from relay.transport.sockets import close_all, listen
from relay.transport.stream import MuxStream
from relay.transport.tcp_stream import TcpStream
from relay.transport.tls import connect_tls
from relay.transport.tls_stream import TlsStream, accept_tls
from relay.transport.tunnel import Tunnel
from relay.transport.websocket import WebSocketStream, accept_websocket, connect_websocket

__all__ = [
    "ForwardProxy",
    "Handshakes",
    "ListenerLimits",
    "MuxStream",
    "Refused",
    "TcpStream",
    "TlsStream",
    "Tunnel",
    "TunnelEnd",
    "WebSocketStream",
    "accept_tls",
    "accept_websocket",
    "close_all",
    "connect_tls",
    "connect_websocket",
    "copy_both_ways",
    "listen",
    "parse_proxy",
    "proxy_for",
    "serve_tls",
]
