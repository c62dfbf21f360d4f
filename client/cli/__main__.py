"""`signadot`, also as `python -m client.cli`."""

import os
import sys

from client.cli.app import cli
from relay.errors import ConfigurationError, RelayError

EXIT_FAILURE = 1
EXIT_CONFIGURATION = 2


def main() -> None:
    """Runs one command: one clear line per mistake, exit code 2 for wrong usage or configuration, 1 for a failure."""
    try:
        cli(prog_name="signadot")
    except* ConfigurationError as group:
        _fail(group, EXIT_CONFIGURATION)
    except* RelayError as group:
        _fail(group, EXIT_FAILURE)
    except* BrokenPipeError:
        # Whoever read our output has enough of it; nothing is left to be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILURE)
    except* KeyboardInterrupt:
        sys.exit(EXIT_FAILURE)


def _fail(group: BaseExceptionGroup[BaseException], code: int) -> None:
    for error in _leaves(group):
        for line in str(error).splitlines():
            sys.stderr.write(f"signadot: {line}\n")
    sys.exit(code)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


if __name__ == "__main__":
    main()
