"""Signing in without a browser: what a person's browser sends, one request after the other."""

from urllib.parse import parse_qs, urlsplit

from tests.support.deployment import Deployment
from tests.support.https import Answer
from tests.support.processes import ProcessError, run_module
from tests.support.site import Site

Headers = tuple[tuple[str, str], ...]
NAVIGATE: Headers = (("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "none"))
OWN: Headers = (("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Site", "same-origin"))


def cookie_of(answer: Answer, name: str) -> tuple[str, str]:
    """The header with which a browser sends a cookie back that an answer has set."""
    values = [value for key, value in answer.headers if key == "set-cookie" and value.startswith(name + "=")]
    return ("Cookie", values[0].partition(";")[0])


def login_link(deployment: Deployment, user: str, *, port: int) -> str:
    """`signadot-relay login-link`: the code in the URL that it prints."""
    done = run_module(
        "relay", "login-link", "--config", deployment.config, "--user", user, "--org", deployment.org, "--port", port
    )
    if done.returncode:
        raise ProcessError(f"login-link ended with {done.returncode}: {done.stderr}")
    return parse_qs(urlsplit(done.stdout.strip()).query)["code"][0]


def sign_in(deployment: Deployment, site: Site, user: str) -> tuple[str, str]:
    """Signs a local user in at one process; gives the cookie of the app host."""
    app = deployment.host_names["app"]
    origin = ("Origin", f"https://{site.authority(app)}")
    form = ("Content-Type", "application/x-www-form-urlencoded")
    body = f"code={login_link(deployment, user, port=site.port)}".encode()
    answer = site.ask(app, "/login/link", method="POST", headers=(origin, form), body=body, api_key="")
    return cookie_of(answer, "__Host-sd-login")


def enter(deployment: Deployment, site: Site, host: str, login: tuple[str, str]) -> tuple[str, str]:
    """Opens a preview with a login at one process; gives the cookie of the preview host."""
    asked = site.ask(host, "/", api_key="", headers=NAVIGATE)
    nonce = cookie_of(asked, "__Host-sd-nonce")
    way = urlsplit(asked.header("location") or "")
    over = site.ask(deployment.host_names["app"], f"{way.path}?{way.query}", api_key="", headers=(*NAVIGATE, login))
    back = urlsplit(over.header("location") or "")
    entered = site.ask(host, f"{back.path}?{back.query}", api_key="", headers=(*NAVIGATE, nonce))
    return cookie_of(entered, "__Host-sd-preview")
