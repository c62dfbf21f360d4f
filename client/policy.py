"""The dial policy: what the agent may dial for the relay. The relay is not asked, and not believed.

A decision has two steps, with the resolver between them: `permit` judges what the relay wrote, `check` judges every
address that came out. What is dialled afterwards is a checked address, never the name again, so a name that resolves
differently the second time changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from client.addresses import Address, behind_nat64, is_loopback, parse_address, refusal
from client.patterns import MAX_PORT, TargetPattern, parse_name
from relay.errors import RelayError

DEFAULT_PATTERNS = ("*.*.svc:*",)
"""Services of every namespace: what previews are for."""
CLUSTER_DOMAIN = "cluster.local"
"""The domain of nearly every cluster; `web.shop.svc.cluster.local` and `web.shop.svc` are one Service."""
API_SERVER_NAMES = frozenset({"kubernetes.default.svc", "kubernetes.default", "kubernetes"})
"""Names of the API server's own Service. `kubernetes` alone is it for an agent in the namespace `default`."""


class NotAllowedError(RelayError):
    """The policy does not allow a target; the message is one sentence that the visitor is shown."""

    code = "target_not_allowed"
    status = 502


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """A target that may be looked up. Exactly one of `name` and `addresses` has something in it."""

    name: str = ""
    """To be resolved; every address that comes out must pass `check`."""
    addresses: tuple[Address, ...] = ()
    """To be dialled, in this order; they passed `check` already."""
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DialPolicy:
    """Allow patterns, and the addresses of this cluster that are refused beside those that always are."""

    patterns: tuple[TargetPattern, ...]
    cluster_domain: str = CLUSTER_DOMAIN
    api_server: frozenset[Address] = frozenset()
    """Addresses of the API server: a tunnel for bytes would pass around the short list of what may be asked of it."""
    api_server_names: frozenset[str] = API_SERVER_NAMES
    """Its names, for the same reason."""

    def permit(self, host: str, port: int) -> Permit:
        """Judges a target as the relay wrote it, before anything is looked up.

        Raises:
            NotAllowedError: no pattern allows it, it is always refused, or it is spelled in a way that is not clear.
        """
        if not 1 <= port <= MAX_PORT:
            raise NotAllowedError(f"{port} is not a port")
        address = parse_address(host)
        if address is not None:
            return Permit(addresses=(self._checked_literal(address, port),), port=port)
        name = parse_name(host)
        if name is None:
            raise NotAllowedError(f"{_shown(host)} is neither a host name nor a canonical IP address")
        if name == "localhost" or name.endswith(".localhost"):
            return Permit(addresses=self._loopback_addresses(name, port), port=port)
        short = self._short(name)
        if short in self.api_server_names:
            raise NotAllowedError(f"{name} is the Kubernetes API server, which is not dialled for a stream of bytes")
        if not any(pattern.matches_name(form, port) for pattern in self.patterns for form in {short, name}):
            raise NotAllowedError(f"{name}:{port} is not among the targets that this agent allows")
        return Permit(name=name, port=port)

    def check(self, permit: Permit, addresses: Iterable[Address]) -> tuple[Address, ...]:
        """Judges what a permitted name resolved to; gives the addresses to dial, in the same order.

        One address that is not allowed refuses them all: a name that mixes them is an attempt, not a Service.

        Raises:
            NotAllowedError: an address is one that is never dialled, or loopback without a pattern that names it.
        """
        checked = tuple(dict.fromkeys(addresses))
        for address in checked:
            what = "a loopback address" if is_loopback(address) else self._refusal(address)
            if what is not None:
                raise NotAllowedError(f"{permit.name} resolves to {address}, {what}, which is not dialled")
        return checked

    def _checked_literal(self, address: Address, port: int) -> Address:
        what = self._refusal(address)
        if what is not None:
            raise NotAllowedError(f"{address} is {what}, which is not dialled")
        if not self._allows(address, port):
            raise NotAllowedError(f"{_with_port(address, port)} is not among the targets that this agent allows")
        return address

    def _allows(self, address: Address, port: int) -> bool:
        loopback = is_loopback(address)
        return any(
            pattern.matches_address(address, port) and (not loopback or pattern.names_loopback())
            for pattern in self.patterns
        )

    def _loopback_addresses(self, name: str, port: int) -> tuple[Address, ...]:
        # `localhost` and names below it are loopback by definition; no resolver is asked (RFC 6761, 6.3).
        candidates = (parse_address("127.0.0.1"), parse_address("::1"))
        allowed = tuple(address for address in candidates if address is not None and self._allows(address, port))
        if not allowed:
            raise NotAllowedError(f"{name}:{port} is not among the targets that this agent allows")
        return allowed

    def _refusal(self, address: Address) -> str | None:
        if address in self.api_server or behind_nat64(address) in self.api_server:
            return "the address of the Kubernetes API server"
        return refusal(address)

    def _short(self, name: str) -> str:
        suffix = f".svc.{self.cluster_domain}"
        return name.removesuffix(f".{self.cluster_domain}") if name.endswith(suffix) else name


def _shown(host: str) -> str:
    return ascii(host[:100])


def _with_port(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"  # noqa: PLR2004 - IP version 6
