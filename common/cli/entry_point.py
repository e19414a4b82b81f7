"""End of a script on an error that a user can mend: one line on stderr and exit status 2."""

import functools
import os
import sys
from collections.abc import Callable

from common.errors import UserError


def entry_point(main: Callable[..., None]) -> Callable[..., None]:
    """Decorate the ``main`` of a script: a :class:`UserError` becomes one line on stderr and exit status 2."""

    @functools.wraps(main)
    def run(*args, **kwargs) -> None:
        try:
            main(*args, **kwargs)
        except UserError as error:
            print("error: " + " ".join(str(error).split()), file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)
        except BrokenPipeError:  # who read our output has seen enough, as head does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes once more when it ends
            sys.exit(141)

    return run
