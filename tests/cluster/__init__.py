"""Tests of the service on Ray Serve, which warns of itself when it is imported."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import ray.serve  # noqa: F401
