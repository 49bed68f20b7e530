"""The one kind of error that is a message to a person rather than a fault of the program."""


class InputError(ValueError):
    """Bad input from outside: a configuration key, a file, a row.

    The message names the file, key or row, what was found, and what would be right. The command
    line prints it without a traceback and exits with status 2.
    """
