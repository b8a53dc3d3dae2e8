"""Faults on purpose: what is tried here briefly, `python -m benchmarks.faults` tries at length."""
