"""Preview hostnames, `<endpoint>--<workspace>[--<org>].<preview domain>`: parsing is the inverse of printing."""

from dataclasses import dataclass

from relay.errors import NotFoundError
from relay.routing.names import LABEL_CHARACTERS, SEPARATOR, valid_name


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewHost:
    """What the hostname of a preview says."""

    endpoint: str
    """The endpoint's name."""
    workspace: str
    """The workspace's name."""
    org: str | None = None
    """The org's name; None when the hostname leaves it to the visitor's credential."""


def parse_preview_host(host: str, domain: str) -> PreviewHost:
    """Parses a hostname in lower case, without port, below the preview domain.

    Raises NotFoundError, which says why nothing can be found under that name.
    """
    label = host.removesuffix("." + domain)
    if label == host:
        raise NotFoundError(f"{host} is not below {domain}")
    if "." in label:
        raise NotFoundError(f"{host} has more than one label below {domain}")
    parts = label.split(SEPARATOR)
    if len(parts) not in (2, 3) or len(label) > LABEL_CHARACTERS or not all(map(valid_name, parts)):
        raise NotFoundError(
            f"{host} is not of the form endpoint--workspace.{domain} or endpoint--workspace--org.{domain}"
        )
    return PreviewHost(endpoint=parts[0], workspace=parts[1], org=parts[2] if len(parts) == 3 else None)  # noqa: PLR2004 - both forms are named above


def print_preview_host(preview: PreviewHost, domain: str) -> str:
    """Prints the hostname that `parse_preview_host` reads as `preview`."""
    parts = (preview.endpoint, preview.workspace) + (() if preview.org is None else (preview.org,))
    return f"{SEPARATOR.join(parts)}.{domain}"
