"""`python -m certs --out DIR --name NAME...`: a development authority and a leaf certificate it signed."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from certs.authority import LEAF_DAYS, Authority, CertificateError

DESCRIPTION = """Writes ca.pem, ca.key, server.pem and server.key. An authority that is already in the folder is used
again, so clients that trust it go on trusting it; the leaf is always new."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code (2 for wrong usage, 1 when something cannot be written or read)."""
    options = _parser().parse_args(arguments)
    out: Path = options.out
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _authority(out, options.domain)
        authority.leaf(options.name, days=options.days, client=options.client).write(
            out / "server.pem", out / "server.key"
        )
    except (CertificateError, OSError) as error:
        sys.stderr.write(f"certs: {error}\n")
        return 1
    sys.stdout.write(f"{out / 'ca.pem'}\n{out / 'server.pem'}\n{out / 'server.key'}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m certs", description=DESCRIPTION)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to, made if it is not there")
    parser.add_argument("--name", action="append", required=True, help="DNS name, *.wildcard or IP address; repeatable")
    parser.add_argument("--domain", action="append", help="domain a new authority may vouch for (default: localhost)")
    parser.add_argument("--days", type=_days, default=LEAF_DAYS, help="days the leaf is valid (default: %(default)s)")
    parser.add_argument("--client", action="store_true", help="the leaf may also be shown by a client")
    return parser


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= LEAF_DAYS:
        raise argparse.ArgumentTypeError(f"days must be 1 to {LEAF_DAYS}")
    return days


def _authority(out: Path, domains: Sequence[str] | None) -> Authority:
    certificate, key = out / "ca.pem", out / "ca.key"
    if certificate.exists() or key.exists():
        return Authority.load(certificate, key)
    authority = Authority.create(domains or ("localhost",))
    authority.write(certificate, key)
    return authority


if __name__ == "__main__":
    sys.exit(main())
