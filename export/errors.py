"""The one exception that a user of `deeplab` is meant to read."""


class UserError(Exception):
    """Something the user can put right: the message says what was wrong, where, what to do."""
