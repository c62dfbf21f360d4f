"""Values that stand nowhere else, and whether they are found where they must not be."""

import base64
import secrets


def planted(kind: str, count: int) -> list[str]:
    """Values that stand nowhere else."""
    return [f"{kind}{secrets.token_hex(6)}" for _ in range(count)]


def hits(values: list[str], data: bytes, place: str) -> list[str]:
    """Those that are found in `data`, in any form that a file might have them in."""
    return [f"{value} in {place}" for value in values if any(form in data for form in _forms(value))]


def _forms(value: str) -> list[bytes]:
    """As it is, in UTF-16, in base64 and in hexadecimal digits."""
    plain = value.encode()
    return [plain, plain.upper(), value.encode("utf-16-le"), base64.b64encode(plain)[:-4], plain.hex().encode()]
