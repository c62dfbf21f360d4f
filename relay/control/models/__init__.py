"""The messages of the REST API, exactly as they stand on the wire."""
