"""Workspace objects in a cluster: the names that the relay and the agent's controller both write and read."""

WORKSPACE_API_VERSION = "signadot.com/v1"
WORKSPACE_KIND = "Workspace"

ORG_LABEL = "signadot.com/org"
"""Name of the org: on Workspaces, clones, and the clones' pods."""
WORKSPACE_LABEL = "signadot.com/workspace"
"""Name of the workspace in its org: on Workspaces, clones, and the clones' pods."""
CLONE_OF_LABEL = "signadot.com/clone-of"
"""Name of the Deployment that was cloned, shortened where it is too long for a label: on clones and their pods."""
ORG_ID_LABEL = "signadot.com/org-id"
"""On Workspaces: the org's id in the relay's database, by which a relay knows what is its own."""
READY = "Ready"
"""Type of the condition that says whether every fork runs the specification of now, and its reason when it does."""

STARTING = "Starting"
"""Reason while clones come up: nothing is wrong so far."""
WAITING = frozenset({STARTING, "Pending"})
"""Reasons that time takes care of. Every other one beside `Ready` means that somebody has to do something."""
