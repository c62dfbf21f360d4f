"""References to images: which ones a workspace means, and what it runs in their place. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

DEFAULT_REGISTRIES = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")
"""`nginx` and `docker.io/library/nginx` are one image."""


def repository_of(reference: str) -> str:
    """An image's name without tag and digest, as it is written."""
    name = reference.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def retagged(reference: str, images: Mapping[str, str]) -> str | None:
    """The reference with the new tag, None where none of the images is meant."""
    repository = repository_of(reference)
    tag = {plain(name): tag for name, tag in images.items()}.get(plain(repository))
    return None if tag is None else f"{repository}:{tag}"


def containers_of(template: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """All containers of a pod template, those that run first included."""
    spec = template["spec"]
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def names_of(deployment: Mapping[str, Any]) -> set[str]:
    """The names, as `plain` has them, of the images that a Deployment runs."""
    containers = containers_of(deployment["spec"]["template"])
    return {plain(repository_of(container.get("image", ""))) for container in containers}


def plain(name: str) -> str:
    """An image's name in the one spelling that is looked for."""
    for registry in DEFAULT_REGISTRIES:
        if name.startswith(registry):
            return name.removeprefix(registry)
    return name
