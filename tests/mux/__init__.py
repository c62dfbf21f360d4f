"""Tests of relay.mux: pure, on a simulated link and a simulated clock."""
