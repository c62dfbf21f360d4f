"""Fuzz targets: modules with `run(data)`, which may raise nothing but what the target's readers promise."""
