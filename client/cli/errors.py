"""What can go wrong at the command line, each one clear line."""

from relay.errors import RelayError


class ApiError(RelayError):
    """The API answered with an error, or with something that is not its own."""

    code = "api_error"


class UnreachableError(RelayError):
    """The API could not be reached."""

    code = "unreachable"


class NotReadyError(RelayError):
    """A workspace did not become ready in time."""

    code = "not_ready"
