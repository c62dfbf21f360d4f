"""frp: `frps` faces visitors, `frpc` the target; TLS between them, streams multiplexed on one connection."""

import json
from typing import Any, ClassVar

from benchmarks.peers.tunnel import HOSTS, PLAIN, Plan, Setting, Tunnel
from benchmarks.visit import visits


class Frp(Tunnel):
    """Routes HTTP by host."""

    name = "frp"
    programs: ClassVar[tuple[str, ...]] = ("frps", "frpc")
    note: ClassVar[str] = f"HTTP by host, {PLAIN}"

    def plan(self, setting: Setting) -> Plan:
        """One virtual host for each target."""
        web, sink = HOSTS
        ports = (setting.target.port, setting.target.sink_port)
        proxies = [
            {"name": host, "type": "http", "localIP": "127.0.0.1", "localPort": port, "customDomains": [host]}
            for host, port in zip(HOSTS, ports, strict=True)
        ]
        return plan_of(
            setting,
            listen={"vhostHTTPPort": setting.web},
            proxies=proxies,
            base=(f"http://{web}:{setting.web}", f"http://{sink}:{setting.web}"),
        )


class FrpHttps(Tunnel):
    """Visitors' TLS goes through the server, which routes by SNI, and ends in the agent."""

    name = "frp-https"
    programs: ClassVar[tuple[str, ...]] = ("frps", "frpc")
    note: ClassVar[str] = "TLS by SNI through the server, ended by the agent"

    def plan(self, setting: Setting) -> Plan:
        """The agent's plugin speaks TLS with visitors and HTTP with the target."""
        web, sink = HOSTS
        ports = (setting.target.port, setting.target.sink_port)
        proxies = [
            {
                "name": host,
                "type": "https",
                "customDomains": [host],
                "plugin": {
                    "type": "https2http",
                    "localAddr": f"127.0.0.1:{port}",
                    "crtPath": str(setting.folder / "server.pem"),
                    "keyPath": str(setting.folder / "server.key"),
                },
            }
            for host, port in zip(HOSTS, ports, strict=True)
        ]
        return plan_of(
            setting,
            listen={"vhostHTTPSPort": setting.web},
            proxies=proxies,
            base=(f"https://{web}:{setting.web}", f"https://{sink}:{setting.web}"),
        )


class FrpTcp(Tunnel):
    """Passes bytes on."""

    name = "frp-tcp"
    programs: ClassVar[tuple[str, ...]] = ("frps", "frpc")
    note: ClassVar[str] = f"raw TCP, {PLAIN}"

    def plan(self, setting: Setting) -> Plan:
        """A port for each target."""
        pairs = ((setting.web, setting.target.port), (setting.sink, setting.target.sink_port))
        proxies = [
            {"name": f"port-{port}", "type": "tcp", "localIP": "127.0.0.1", "localPort": local, "remotePort": port}
            for port, local in pairs
        ]
        base = (f"http://127.0.0.1:{setting.web}", f"http://127.0.0.1:{setting.sink}")
        return plan_of(setting, listen={}, proxies=proxies, base=base)


def plan_of(setting: Setting, *, listen: dict[str, int], proxies: list[dict[str, Any]], base: tuple[str, str]) -> Plan:
    """What all three have in common; frp reads JSON as well as TOML."""
    folder, secure = setting.folder, base[0].startswith("https:")
    quiet = {"to": "console", "level": "warn"}
    server = {
        "bindAddr": "127.0.0.1",
        "bindPort": setting.control,
        **listen,
        "auth": {"method": "token", "token": setting.secret},
        "log": quiet,
        "transport": {
            "tls": {"force": True, "certFile": str(folder / "server.pem"), "keyFile": str(folder / "server.key")}
        },
    }
    agent = {
        "serverAddr": "127.0.0.1",
        "serverPort": setting.control,
        "auth": {"method": "token", "token": setting.secret},
        "log": quiet,
        "transport": {
            "tls": {"enable": True, "serverName": "localhost", "trustedCaFile": str(folder / "ca.pem")},
        },
        "proxies": proxies,
    }
    return Plan(
        files={"frps.json": json.dumps(server, indent=1), "frpc.json": json.dumps(agent, indent=1)},
        front=[str(setting.programs["frps"]), "-c", str(folder / "frps.json")],
        back=[[str(setting.programs["frpc"]), "-c", str(folder / "frpc.json")]],
        visits=visits(base[0], sink=base[1], ca_file=folder / "ca.pem" if secure else None),
    )
