"""Accepts agents and keeps the registry of live tunnels."""
