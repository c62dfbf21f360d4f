"""The agent and its cluster's API: what the relay may ask of it, and the agent's own requests."""
