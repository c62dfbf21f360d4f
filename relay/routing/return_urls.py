"""Where a visitor may be sent after signing in: previews and the app host of this relay, and nowhere else.

The grammar is a short list of what is allowed, so that no two readers of URLs (WHATWG, RFC 3986) can differ about it.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from relay.errors import BadRequestError, NotFoundError
from relay.routing.hostnames import parse_preview_host

MAX_CHARACTERS = 4096
"""Half of a request line: a URL is longer once it stands in the query of another one."""
HTTPS_PORT = 443

# One slash, then no second one: `//host` is another host. Visible ASCII without what browsers read as something else
# (`\`), what ends a path (`#`), and what they never send unescaped.
_TARGET = re.compile(r"/(?!/)[!$-;=?-\[\]^-~]*")
_PLAIN = "!$%&'()*+,-./:;=?@[]^_`{|}~"  # beside letters and digits, as `_TARGET` has it
_URL = re.compile(r"https://(?P<host>[a-z0-9.-]+)(?::(?P<port>[1-9][0-9]{0,4}))?(?P<target>/.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnUrl:
    """A place to return to, rebuilt from its parts."""

    host: str
    """A preview's hostname, or the app host."""
    is_preview: bool
    """Whether it is on a preview host."""
    target: str
    """Path and query, beginning with exactly one slash."""
    url: str
    """All of it, absolute."""

    def at_root(self) -> "ReturnUrl":
        """The first page of the same host."""
        return ReturnUrl(
            host=self.host, is_preview=self.is_preview, target="/", url=self.url.removesuffix(self.target) + "/"
        )


def plain_target(target: bytes) -> str:
    """Path and query of a request in the spelling that `parse_return_url` takes.

    Browsers send some characters as they are that the grammar leaves out, such as `<` in a query: those are escaped,
    which says the same. A path of two slashes, which could be read as another host, becomes `/`.
    """
    text = quote(target, safe=_PLAIN)
    return text if _TARGET.fullmatch(text) else "/"


def parse_return_url(text: str, *, preview_domain: str, app_host: str, port: int) -> ReturnUrl:
    """Reads `https://<preview label>.<preview domain>[:port]/…`, or an absolute path on the app host.

    `port` is the relay's own; the URL must have it, and must not write it where it is 443. Raises BadRequestError.
    """
    if len(text) > MAX_CHARACTERS:
        raise _refused(f"it has more than {MAX_CHARACTERS} characters")
    suffix = "" if port == HTTPS_PORT else f":{port}"
    if text.startswith("/"):
        host, target, is_preview = app_host, text, False
    else:
        host, target = _split(text, port)
        is_preview = True
        try:
            parse_preview_host(host, preview_domain)
        except NotFoundError as error:
            raise _refused("its host is no preview of this relay") from error
    if _TARGET.fullmatch(target) is None:
        raise _refused("its path is not in its plain form")
    return ReturnUrl(host=host, is_preview=is_preview, target=target, url=f"https://{host}{suffix}{target}")


def _split(text: str, port: int) -> tuple[str, str]:
    match = _URL.fullmatch(text)
    if match is None:
        raise _refused("it is neither https://HOST/PATH in its plain form nor a path")
    if match["host"].startswith("xn--"):  # punycode: no endpoint has that name
        raise _refused("its host is no preview of this relay")
    if match["port"] != (None if port == HTTPS_PORT else str(port)):
        raise _refused("its port is not this relay's")
    return match["host"], match["target"]


def _refused(why: str) -> BadRequestError:
    return BadRequestError(f"The address to return to is not one of this relay's: {why}.", reason="return_url")
