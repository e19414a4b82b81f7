"""Errors that a user can mend.

Every error type of this project derives from :class:`UserError`. Its message is one line that says what was
expected, what was found and what to do.
"""

_LONGEST = 2000
_END = 500


class UserError(Exception):
    """A mistake in what the user gave: an option, a path, a file. Ends an entry script with exit status 2.

    A message that quotes what a file or the user gives stays one line, and the middle of a very long one is left out.
    """

    def __init__(self, message: object) -> None:
        line = " ".join(str(message).splitlines())
        super().__init__(line if len(line) <= _LONGEST else f"{line[: _LONGEST - _END]} [...] {line[-_END:]}")


class ConfigError(UserError):
    """An option or a configuration key that is unknown, out of range or in conflict with another."""


class DataError(UserError):
    """A data set that is missing, damaged or not of the declared form."""


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, or does not belong to the network it is loaded into."""


class PickleError(UserError):
    """A pickle that asks for more than plain data; who reads it says in which file."""


class ExportError(UserError):
    """A network that a file format cannot express, or a file that does not compute what the network computes."""


class QuantizationError(UserError):
    """A network or an input that the chosen quantization scheme cannot represent."""
