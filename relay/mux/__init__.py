"""The framing protocol of a tunnel, without I/O; docs/protocol.md is its specification."""
