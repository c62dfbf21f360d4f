"""Imports go downward only. The table below is the rule; the imports are read from the AST."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

GROUND = {"relay.mux", "relay.http1", "relay.routing", "relay.auth", "relay.errors"}
SHELL = {"relay.transport", "relay.store", "relay.telemetry", "relay.kubernetes"}
SERVICES = {"relay.tunnels", "relay.ingress", "relay.control", "relay.dashboard"}
ROOTS = {
    "relay.administration",
    "relay.app",
    "relay.cluster_access",
    "relay.doors",
    "relay.parts",
    "relay.upkeep",
    "relay.__main__",
    "relay.config",
    "relay.demo",
    "relay.github_setup",
    "relay.login_links",
    "relay.page_services",
    "relay.commands",
    "relay.operations",
    "relay.setup",
    "relay.workers",
}

# Ground modules may use each other only along these edges.
GROUND_EDGES: dict[str, set[str]] = {
    "relay.errors": set(),
    "relay.mux": {"relay.errors"},
    "relay.http1": {"relay.errors"},
    "relay.routing": {"relay.errors"},
    "relay.auth": {"relay.errors"},
}
FORBIDDEN_IN_GROUND = {
    "trio", "trio_websocket", "socket", "ssl", "select", "selectors", "logging", "structlog", "time", "os",
    "threading", "subprocess", "sqlalchemy", "asyncio", "random", "fastapi", "prometheus_client",
}  # fmt: skip
# `secrets` is allowed in auth alone: minting needs the system's randomness and nothing else of the system.
ONLY_IN = {
    "h11": {"relay.http1"},
    "cryptography": {"relay.auth", "certs"},
    "sqlalchemy": {"relay.store"},
    "alembic": {"relay.store"},
    "sqlcipher3": {"relay.store"},
    "psycopg": {"relay.store"},
    "fastapi": {"relay.control"},
    "starlette": {"relay.control"},
    "jwt": {"relay.control"},
    "trio_websocket": {"relay.transport", "relay.demo"},
}


def unit_of(module: str) -> str:
    """`relay.mux.frames` -> `relay.mux`; `client.cli.main` -> `client`; others by their first name."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "relay" and len(parts) > 1 else parts[0]


def imports() -> Iterator[tuple[str, str]]:
    """Pairs (importing module, imported module) for all product code."""
    for package in ("relay", "client", "certs"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            for node in ast.walk(ast.parse(path.read_text(), str(path))):
                if isinstance(node, ast.Import):
                    yield from ((module, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{path}: imports are absolute"
                    assert node.module is not None
                    yield module, node.module
                    if node.module == "relay":
                        yield from (
                            (module, f"relay.{alias.name}") for alias in node.names if alias.name != "__version__"
                        )


def allowed(unit: str, other: str) -> bool:  # noqa: PLR0911 - one return per layer reads as the table it is
    if other.split(".", maxsplit=1)[0] in {"tests", "benchmarks"}:
        return False
    if not other.startswith(("relay", "client", "certs")) or other in {unit, "relay", "relay.__version__"}:
        return True
    if unit in GROUND:
        return other in GROUND_EDGES[unit]
    if unit in SHELL:
        return other in GROUND | {"relay.telemetry"}
    if unit in SERVICES:
        return other in GROUND | SHELL
    if unit == "client":
        return other in {"relay.errors", "relay.mux", "relay.http1", "relay.transport", "relay.kubernetes"}
    if unit == "certs":
        return False
    return unit in ROOTS and not other.startswith("client")


def test_imports_go_downward_only() -> None:
    broken = [
        f"{module} imports {other}" for module, other in imports() if not allowed(unit_of(module), unit_of(other))
    ]
    assert broken == []


def test_ground_layer_has_no_io_and_no_clock() -> None:
    broken = [
        f"{module} imports {other}"
        for module, other in imports()
        if unit_of(module) in GROUND and other.split(".")[0] in FORBIDDEN_IN_GROUND
    ]
    assert broken == []


def test_a_library_is_seen_by_its_owner_only() -> None:
    broken = [
        f"{module} imports {other}"
        for module, other in imports()
        if (owners := ONLY_IN.get(other.split(".")[0])) is not None and unit_of(module) not in owners
    ]
    assert broken == []


def test_every_package_has_a_place_in_the_table() -> None:
    units = {unit_of(module) for module, _ in imports()} - {"relay", "client", "certs"}
    assert units <= GROUND | SHELL | SERVICES | ROOTS
