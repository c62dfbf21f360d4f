"""Serves visitors: reads requests, decides where they go, forwards them."""
