"""The commands of `python -m core`, and what they end with."""

FINISHED, FAILED, BAD_SETTINGS, STOPPED = 0, 1, 2, 3
"""Exit codes of every command."""
