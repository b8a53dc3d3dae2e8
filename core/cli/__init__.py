"""The commands of `python -m core`, and what they end with."""

FINISHED, FAILED, BAD_SETTINGS, STOPPED = 0, 1, 2, 3
"""Exit codes of every command."""


def exit_code(state: str | None) -> int:
    """What a command ends with whose run or job has ended in this state; None if it was not carried out."""
    return {"finished": FINISHED, "stopped": STOPPED}.get(state or "", FAILED)
