"""`python -m relay` is `signadot-relay`."""

from relay.commands import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
