"""nginx as a program under test, in a folder of its own, with the settings a careful operator would give it."""

import os
from pathlib import Path

from benchmarks.placement import Role
from benchmarks.processes import Ground

MANY = 1_000_000_000
"""Keep-alive connections are never closed for the number of requests they carried."""

_MAIN = """
{modules}
worker_processes {workers};
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
    default_type application/octet-stream;
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests {many};
    keepalive_timeout 600s;
    client_header_timeout 600s;
    client_max_body_size 0;
    client_body_buffer_size 64k;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{http}
}}
{stream}
"""
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
"""Where Debian has it (libnginx-mod-stream)."""


def has_streams() -> bool:
    """Whether nginx can forward bytes."""
    return STREAM_MODULE.exists()


def start_nginx(
    ground: Ground, role: Role, *, name: str, port: int, http: str, stream: str = "", workers: int = 1
) -> int:
    """Starts one with `http` inside its http block, waits until it listens on `port`, gives the master's process id.

    `stream` is what stands in its stream block; only where `has_streams` is true.
    """
    folder = ground.folder / name
    folder.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""  # the worker reads files in our private folder
    config = folder / "nginx.conf"
    config.write_text(
        _MAIN.format(
            modules=f"load_module {STREAM_MODULE};" if stream else "",
            user=user,
            folder=folder,
            many=MANY,
            http=http,
            stream=f"stream {{ {stream} }}" if stream else "",
            workers=workers,
        )
    )
    pid = ground.start(role, ["nginx", "-e", str(folder / "error.log"), "-c", str(config)], name=name)
    ground.wait_listening(port, name=name)
    return pid


def tls_listener(port: int, certificate: Path, key: Path) -> str:
    """The lines of a server block that listens with TLS."""
    return f"""
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_tickets on;
    """


def upstream(name: str, port: int) -> str:
    """A block of one server whose connections are kept alive."""
    return f"""
    upstream {name} {{
        server 127.0.0.1:{port};
        keepalive 128;
        keepalive_requests {MANY};
        keepalive_timeout 600s;
    }}
    """


FORWARDING = """
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_buffers 16 64k;
            proxy_buffer_size 64k;
            proxy_busy_buffers_size 128k;
"""
"""Streams bodies, keeps connections, buffers as much as one window of ours."""
UPGRADING = FORWARDING.replace('Connection ""', "Connection upgrade; proxy_set_header Upgrade $http_upgrade")
"""The same for WebSockets."""
