"""The errors a user can meet. Each takes one message, because SimPy rebuilds exceptions from one argument."""

EXIT_CODES = (
    "Exit codes: 0 done, 1 a file cannot be read or written, 2 bad input, 130 or 143 interrupted; nothing is left half "
    "written."
)
"""What every command's help says of them."""


class SimError(Exception):
    """Something a user can put right; the message says where, which value, and what would be right."""

    exit_code = 1


class InputError(SimError):
    """A scenario, an option or an input file that cannot be used (exit 2)."""

    exit_code = 2


class OutputError(SimError):
    """A file that cannot be written (exit 1)."""

    exit_code = 1
