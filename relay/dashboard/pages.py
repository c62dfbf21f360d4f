"""The app host: one plain page that says what this relay is and how to get in."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from jinja2 import DictLoader, Environment

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_TEMPLATES = {
    "home": """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Signadot relay</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 3rem auto; max-width: 42rem; padding: 0 1rem; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid; border-radius: 0.25rem; }
</style>
<main>
<h1>Signadot relay</h1>
<p>This relay serves previews below <code>{{ preview }}</code>. A preview is opened with an API key of your
organisation:</p>
<pre>curl -H "signadot-api-key: $SIGNADOT_API_KEY" https://ENDPOINT--WORKSPACE.{{ preview }}/</pre>
<p>Workspaces, clusters and keys are managed by the <code>signadot</code> command and the API at
<a href="{{ api_url }}/api/v2/openapi.json">{{ api_url }}</a>.</p>
</main>
</html>
""",
}
_HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_NOT_FOUND = b"<!doctype html><html lang=en><title>Not found</title><p>There is no such page.</p></html>\n"


def make_app(*, preview: str, api_url: str) -> AsgiApp:
    """The pages as an ASGI application. `preview`: domain with port; `api_url`: URL without a slash at its end."""
    templates = Environment(loader=DictLoader(_TEMPLATES), autoescape=True)
    home = templates.get_template("home").render(preview=preview, api_url=api_url).encode()

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        status, body = (200, home) if scope["path"] == "/" else (404, _NOT_FOUND)
        await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": body})

    return app
