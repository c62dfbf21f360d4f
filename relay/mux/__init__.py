"""The framing protocol of a tunnel, without I/O; docs/protocol.md is its specification."""

from relay.mux.budget import ReceiveBudget
from relay.mux.codes import PROTOCOL_VERSION, CloseCode, FrameType, ResetCode, is_orderly, reset_code
from relay.mux.events import (
    DataReceived,
    Event,
    GoawayReceived,
    HelloReceived,
    SendReady,
    SessionEnded,
    StreamAccepted,
    StreamFinished,
    StreamOpened,
    StreamReset,
    WelcomeReceived,
)
from relay.mux.handshake import MAX_NAMESPACES, Hello, KubernetesCluster, PeerLimits, RelayProcess, Welcome
from relay.mux.limits import Limits
from relay.mux.session import Session, Statistics
from relay.mux.state import Role

__all__ = [
    "MAX_NAMESPACES",
    "PROTOCOL_VERSION",
    "CloseCode",
    "DataReceived",
    "Event",
    "FrameType",
    "GoawayReceived",
    "Hello",
    "HelloReceived",
    "KubernetesCluster",
    "Limits",
    "PeerLimits",
    "ReceiveBudget",
    "RelayProcess",
    "ResetCode",
    "Role",
    "SendReady",
    "Session",
    "SessionEnded",
    "Statistics",
    "StreamAccepted",
    "StreamFinished",
    "StreamOpened",
    "StreamReset",
    "Welcome",
    "WelcomeReceived",
    "is_orderly",
    "reset_code",
]
