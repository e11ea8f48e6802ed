"""The exceptions that a user of `deeplab` is meant to read."""


class UserError(Exception):
    """Something the user can put right: the message says what was wrong, where, what to do."""


class Stopped(UserError):
    """A signal asked a run to stop, and it was saved so that it can go on."""
