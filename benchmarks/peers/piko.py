"""piko: routes HTTP by host to agents' endpoints, over WebSocket and TLS."""

from typing import ClassVar

from benchmarks.peers.tunnel import HOSTS, Plan, Setting, Tunnel
from benchmarks.visit import visits


class Piko(Tunnel):
    """Visitor TLS as well; its access log is on, as it is by default."""

    name = "piko"
    programs: ClassVar[tuple[str, ...]] = ("piko",)
    note: ClassVar[str] = "HTTP by host, TLS towards the visitor, agents not authenticated"

    def plan(self, setting: Setting) -> Plan:
        """An endpoint is the first label of a host; an agent serves one endpoint."""
        program, folder = str(setting.programs["piko"]), setting.folder
        pair = (str(folder / "server.pem"), str(folder / "server.key"))
        admin, gossip = setting.spare
        tls = [
            argument
            for port in ("proxy", "upstream")
            for side, path in zip(("cert", "key"), pair, strict=True)
            for argument in (f"--{port}.tls.{side}", path)
        ]
        # By default an answer may take ten seconds: a bulk download takes longer.
        unlimited = ("--proxy.http.read-timeout", "0s", "--proxy.http.write-timeout", "0s", "--proxy.timeout", "10m")
        targets = zip(HOSTS, (setting.target.port, setting.target.sink_port), strict=True)
        web, sink = (f"https://{host}:{setting.web}" for host in HOSTS)
        return Plan(
            files={},
            front=[
                *(program, "server", "--proxy.bind-addr", f"127.0.0.1:{setting.web}"),
                *("--upstream.bind-addr", f"127.0.0.1:{setting.control}"),
                *("--admin.bind-addr", f"127.0.0.1:{admin}", "--cluster.gossip.bind-addr", f"127.0.0.1:{gossip}"),
                *("--usage.disable", *tls, *unlimited),
            ],
            back=[
                [
                    *(program, "agent", "http", host.split(".")[0], f"127.0.0.1:{port}"),
                    *("--connect.url", f"https://127.0.0.1:{setting.control}"),
                    *("--connect.tls.root-cas", str(folder / "ca.pem"), "--timeout", "10m"),
                    *("--server.bind-addr", "127.0.0.1:0"),
                ]
                for host, port in targets
            ],
            visits=visits(web, sink=sink, ca_file=folder / "ca.pem"),
        )
