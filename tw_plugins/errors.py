"""The base of every error that is meant for a person."""


class UserError(Exception):
    """Somebody can mend it: the message says what is wrong, where, and what to do.

    Commands print it as one line; any other error is a fault of ours and keeps its traceback. The second base
    of a subclass says what kind of error it is to code: `class SettingsError(UserError, ValueError)`.
    """
