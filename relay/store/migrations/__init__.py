"""Alembic migrations; run by `relay.store.migrate`."""
