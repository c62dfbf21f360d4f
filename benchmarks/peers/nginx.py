"""The yardstick: visitor TLS -> nginx -> TLS -> nginx -> target, both ends kept alive, one worker each."""

import secrets
import sys
from pathlib import Path

from benchmarks.nginx import FORWARDING, UPGRADING, has_streams, start_nginx, tls_listener, upstream
from benchmarks.peers.base import LivePeer, Peer
from benchmarks.processes import Ground, free_port
from benchmarks.target import Target
from benchmarks.visit import visits
from certs import Authority

HOST = "front.localhost"
BACK = "back.localhost"


class Nginx(Peer):
    """The same job in C: it checks the key, removes it, adds the headers, forwards over TLS, and logs as JSON."""

    name = "nginx"

    def __init__(self, *, workers: int = 1) -> None:
        """As many workers face visitors as the relay has; one faces the target."""
        self._workers = workers

    def start(self, ground: Ground, target: Target) -> LivePeer:
        """Starts the one that faces the target, then the one that faces visitors."""
        folder = ground.folder / "nginx-certificates"
        folder.mkdir()
        authority = Authority.create()
        (folder / "ca.pem").write_bytes(authority.pem)
        for name in (HOST, BACK):
            authority.leaf([name]).write(folder / f"{name}.pem", folder / f"{name}.key")
        port, back_port, key = free_port(), free_port(), secrets.token_hex(16)
        raw_port, raw_back_port = free_port(), free_port()
        back = start_nginx(
            ground,
            "back",
            name="nginx-back",
            port=back_port,
            http=_back(folder, back_port, target),
            stream=_raw_back(folder, raw_back_port, target) if has_streams() else "",
        )
        log = ground.folder / "nginx-access.log"
        front = start_nginx(
            ground,
            "front",
            name="nginx-front",
            port=port,
            http=_front(folder, port=port, back_port=ground.far(back_port), key=key, log=log),
            stream=_raw_front(folder, raw_port, ground.far(raw_back_port)) if has_streams() else "",
            workers=self._workers,
        )
        return LivePeer(
            name=self.name,
            visits=visits(
                f"https://{HOST}:{port}",
                echo=f"https://{HOST}:{port}",
                headers=(("signadot-api-key", key),),
                ca_file=folder / "ca.pem",
            ),
            raw=visits(f"https://{HOST}:{raw_port}", ca_file=folder / "ca.pem") if has_streams() else {},
            roles={"front": [front], "back": [back]},
            placement=ground.placement,
            takes_link=True,
            note=f"API key, headers and access log on, workers: {self._workers}"
            + ("" if has_streams() else "; no module for raw TCP (libnginx-mod-stream)"),
            hold=[
                *(sys.executable, "-m", "benchmarks.hold", "--port", str(port), "--host", HOST),
                *("--ca-file", str(folder / "ca.pem")),
            ],
        )


def _front(folder: Path, *, port: int, back_port: int, key: str, log: Path) -> str:
    # The headers are those that the relay adds for a workspace; the log has the fields of its access log.
    rules = f"""
            if ($http_signadot_api_key != "{key}") {{ return 401; }}
            proxy_set_header Host "127.0.0.1";
            proxy_set_header signadot-api-key "";
            proxy_set_header X-Request-Id $request_id;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header traceparent "00-$request_id-00f067aa0ba902b7-00";
            proxy_set_header baggage "sd-routing-key=k3v9x2m1,sd-workspace=bench";
            proxy_set_header tracestate "sd-routing-key=k3v9x2m1";
            proxy_set_header uberctx-sd-workspace "k3v9x2m1";
            proxy_set_header ot-baggage-sd-workspace "k3v9x2m1";
            proxy_set_header sd-routing-key "k3v9x2m1";
            proxy_pass https://back;
            proxy_ssl_protocols TLSv1.3;
            proxy_ssl_server_name on;
            proxy_ssl_name {BACK};
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {folder}/ca.pem;
    """
    return f"""
    {upstream("back", back_port)}
    log_format access escape=json '{{"time":"$time_iso8601","request_id":"$request_id","remote":"$remote_addr",'
        '"method":"$request_method","host":"$host","path":"$uri","status":$status,"bytes":$body_bytes_sent,'
        '"seconds":$request_time}}';
    server {{
        {tls_listener(port, folder / f"{HOST}.pem", folder / f"{HOST}.key")}
        access_log {log} access;
        location / {{ {FORWARDING} {rules} }}
        location = /echo {{ {UPGRADING} {rules} }}
    }}
    """


def _back(folder: Path, port: int, target: Target) -> str:
    return f"""
    {upstream("target", target.port)}
    {upstream("sink", target.sink_port)}
    server {{
        {tls_listener(port, folder / f"{BACK}.pem", folder / f"{BACK}.key")}
        location / {{ {FORWARDING} proxy_pass http://target; }}
        location /upload {{ {FORWARDING} proxy_pass http://sink; }}
        location = /echo {{ {UPGRADING} proxy_pass http://127.0.0.1:{target.echo_port}; }}
    }}
    """


def _raw_front(folder: Path, port: int, back_port: int) -> str:
    return f"""
    server {{
        {tls_listener(port, folder / f"{HOST}.pem", folder / f"{HOST}.key")}
        proxy_pass 127.0.0.1:{back_port};
        proxy_buffer_size 64k;
        proxy_ssl on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_server_name on;
        proxy_ssl_name {BACK};
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {folder}/ca.pem;
    }}
    """


def _raw_back(folder: Path, port: int, target: Target) -> str:
    return f"""
    server {{
        {tls_listener(port, folder / f"{BACK}.pem", folder / f"{BACK}.key")}
        proxy_pass 127.0.0.1:{target.port};
        proxy_buffer_size 64k;
    }}
    """
