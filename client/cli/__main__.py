"""`signadot`, also as `python -m client.cli`."""

import os
import sys

from client.cli.app import cli
from relay.errors import ConfigurationError, RelayError, leaves

EXIT_FAILURE = 1
EXIT_CONFIGURATION = 2
EXIT_INTERRUPTED = 130  # what shells and the command line library make of Ctrl-C


def main() -> None:
    """Runs one command: one clear line per mistake, exit code 2 for wrong usage or configuration, 1 for a failure."""
    # The exit comes after the clauses: Python before 3.11.4 wraps what a clause raises into one more group.
    code = 0
    try:
        cli(prog_name="signadot")
    except* ConfigurationError as group:
        code = _complain(group, EXIT_CONFIGURATION)
    except* RelayError as group:
        code = max(code, _complain(group, EXIT_FAILURE))
    except* BrokenPipeError:
        # Whoever read our output has enough of it; nothing is left to be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or EXIT_FAILURE
    except* KeyboardInterrupt:
        code = code or EXIT_INTERRUPTED
    sys.exit(code)


def _complain(group: BaseExceptionGroup[BaseException], code: int) -> int:
    for error in leaves(group):
        for line in str(error).splitlines():
            sys.stderr.write(f"signadot: {line}\n")
    return code


if __name__ == "__main__":
    main()
