"""Trio bytes to mux sessions: TLS, WebSocket, the tunnel driver and its streams."""
