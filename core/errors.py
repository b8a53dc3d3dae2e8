"""The one family of errors whose message is written for the person in front of the screen."""


class DistilleryError(Exception):
    """Something the user can understand and act on: the message says what happened, why, and what to do."""
