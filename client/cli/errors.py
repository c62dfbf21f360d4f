"""What can go wrong at the command line, each one clear line."""

from relay.errors import RelayError


class ApiError(RelayError):
    """The API answered with an error, or with something that is not its own."""

    code = "api_error"

    def __init__(self, message: str, *, answer_status: int = 0) -> None:
        super().__init__(message)
        self.answer_status = answer_status
        """HTTP status of the API's answer; 0 for what is no answer of the API's."""


class UnreachableError(RelayError):
    """The API could not be reached."""

    code = "unreachable"


class NotReadyError(RelayError):
    """A workspace did not become ready in time."""

    code = "not_ready"
