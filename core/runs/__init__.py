"""Runs: one folder each, a queue, and the one worker that trains them."""
