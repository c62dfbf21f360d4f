"""Figures by rounds: the relay beside nginx doing the same job, in the same run on the same machine.

`python -m benchmarks --help` says how to run it; docs/performance.md says what the figures mean.
A peer is one way from a visitor to a target (`benchmarks.peers`); a scenario is one thing measured in rounds that
alternate between peers (`benchmarks.scenarios`). New ones of either are small classes.
"""
