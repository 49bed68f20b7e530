"""Errors that are messages to a person rather than faults of the program."""


class InputError(ValueError):
    """Bad input from outside: a configuration key, a file, a row.

    The message names the file, key or row, what was found, and what would be right. The command
    line prints it without a traceback and exits with status 2.
    """


class Interrupted(Exception):
    """A step has to stop, or its time is nearly up; its state is saved.

    The command line exits with status 75 (``EX_TEMPFAIL``): the same command continues the step.
    """
