"""Credentials, principals, policy, and sealing of database values; pure."""
