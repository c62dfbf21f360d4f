"""Pages as answers: templates, and the headers that every page has."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from relay.dashboard.asgi import Answer
from relay.http1 import STYLE, STYLE_SOURCE

_POLICY = "default-src 'none'; style-src {style}; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    # Not no-referrer: under it a browser sends `Origin: null` with our own forms (Fetch, 3.2).
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Pages:
    """Renders the templates of this package."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("relay.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(self, template: str, /, *, status: int = 200, leads_away: bool = False, **values: Any) -> Answer:
        """A page of a template of that name.

        `leads_away`: whether its form starts a sign-in at GitHub. Chromium holds form-action against every redirect
        that follows a form, and an organisation's own identity provider may be among them, so those pages name the
        scheme only.
        """
        targets = "'self' https:" if leads_away else "'self'"
        policy = _POLICY.format(style=STYLE_SOURCE, targets=targets)
        body = self._templates.get_template(template).render(style=_Style(), **{"login": None, **values})
        return Answer(
            status=status,
            headers=(*_HEADERS, (b"content-security-policy", policy.encode())),
            body=body.encode(),
        )


class _Style:
    """The style sheet, inserted as it is: its hash stands in the policy."""

    def __html__(self) -> str:
        return STYLE


def redirect(url: str, *, status: int = 302) -> Answer:
    """An answer that leads elsewhere; `url` was made by this relay."""
    return Answer(
        status=status,
        headers=(
            (b"location", url.encode("ascii")),
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
            # A page that opened this window must not read the URL it is led to, which may have a login code.
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        ),
    )
