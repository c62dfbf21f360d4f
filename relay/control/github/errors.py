"""When GitHub will not do a thing, now or later; `GithubUnavailableError` is for what may be tried again."""

from relay.errors import RelayError


class GithubRefusedError(RelayError):
    """GitHub said no, and would say it again; the message names what was asked for."""

    code = "github_refused"
    status = 502


class InstallationGoneError(GithubRefusedError):
    """The App is not installed there any more, or it is suspended."""
