"""The load test and its pictures."""
