"""Preview hostnames, routes, and the choice among live tunnels; pure."""
