"""System tests: real processes, real TLS, real clients."""
