"""Strict HTTP/1 heads, body framing, forwarding rules and plain error answers; pure."""
