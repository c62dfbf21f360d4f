"""The agent: dials the relay from inside a cluster and serves its streams."""
