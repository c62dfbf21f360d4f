"""Tunnels that pass bytes on from a port of their server: chisel, rathole and bore."""

import json
from typing import ClassVar

from benchmarks.peers.tunnel import PLAIN, Plan, Setting, Tunnel
from benchmarks.visit import Resource, Visit, visits


class Chisel(Tunnel):
    """SSH inside WebSocket inside TLS, all streams on one connection."""

    name = "chisel"
    programs: ClassVar[tuple[str, ...]] = ("chisel",)
    note: ClassVar[str] = f"raw TCP, SSH inside TLS, {PLAIN}"

    def plan(self, setting: Setting) -> Plan:
        """The agent asks for one port for each target."""
        program, folder, login = str(setting.programs["chisel"]), setting.folder, f"bench:{setting.secret}"
        ports = ((setting.web, setting.target.port), (setting.sink, setting.target.sink_port))
        return Plan(
            files={},
            front=[
                *(program, "server", "--host", "127.0.0.1", "--port", str(setting.control), "--reverse"),
                *("--auth", login, "--tls-cert", str(folder / "server.pem"), "--tls-key", str(folder / "server.key")),
            ],
            back=[
                [
                    *(program, "client", "--auth", login, "--tls-ca", str(folder / "ca.pem")),
                    f"https://127.0.0.1:{setting.control}",
                    *(f"R:127.0.0.1:{port}:127.0.0.1:{local}" for port, local in ports),
                ]
            ],
            visits=by_port(setting),
        )


class Rathole(Tunnel):
    """A TLS connection of its own for each visitor's connection."""

    name = "rathole"
    programs: ClassVar[tuple[str, ...]] = ("rathole",)
    note: ClassVar[str] = f"raw TCP, a connection each, {PLAIN}"

    def plan(self, setting: Setting) -> Plan:
        """One service for each target."""
        program, folder = str(setting.programs["rathole"]), setting.folder
        server = f"""
[server]
bind_addr = "127.0.0.1:{setting.control}"
default_token = "{setting.secret}"
[server.transport]
type = "tls"
[server.transport.tls]
pkcs12 = {json.dumps(str(folder / "server.pfx"))}
pkcs12_password = "{setting.secret}"
[server.services.web]
bind_addr = "127.0.0.1:{setting.web}"
[server.services.sink]
bind_addr = "127.0.0.1:{setting.sink}"
"""
        agent = f"""
[client]
remote_addr = "127.0.0.1:{setting.control}"
default_token = "{setting.secret}"
[client.transport]
type = "tls"
[client.transport.tls]
trusted_root = {json.dumps(str(folder / "ca.pem"))}
hostname = "localhost"
[client.services.web]
local_addr = "127.0.0.1:{setting.target.port}"
[client.services.sink]
local_addr = "127.0.0.1:{setting.target.sink_port}"
"""
        return Plan(
            files={"server.toml": server, "agent.toml": agent},
            front=[program, "--server", str(folder / "server.toml")],
            back=[[program, "--client", str(folder / "agent.toml")]],
            visits=by_port(setting),
        )


class Bore(Tunnel):
    """No TLS anywhere, a connection of its own for each visitor's connection."""

    name = "bore"
    programs: ClassVar[tuple[str, ...]] = ("bore",)
    note: ClassVar[str] = f"raw TCP, a connection each, no TLS at all, {PLAIN}"
    control_port: ClassVar[int | None] = 7835

    def plan(self, setting: Setting) -> Plan:
        """An agent for each target, as one serves one port."""
        program = str(setting.programs["bore"])
        ports = ((setting.web, setting.target.port), (setting.sink, setting.target.sink_port))
        secret = ("--secret", setting.secret)
        return Plan(
            files={},
            front=[program, "server", "--bind-addr", "127.0.0.1", *secret],
            back=[
                [
                    *(program, "local", str(local), "--local-host", "127.0.0.1", "--to", "127.0.0.1"),
                    *("--port", str(port), *secret),
                ]
                for port, local in ports
            ],
            visits=by_port(setting),
        )


def by_port(setting: Setting) -> dict[Resource, Visit]:
    """The target at one port, uploads at another."""
    return dict(visits(f"http://127.0.0.1:{setting.web}", sink=f"http://127.0.0.1:{setting.sink}"))
