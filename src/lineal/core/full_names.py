"""Full names: `entity/project/name:ref` of artifacts, `entity/project/run_id`, and short forms.

What is left out of one comes from the arguments. All functions that read one raise Invalid for what
is none. Sources: NAM-5, NAM-6, API-7.
"""

from __future__ import annotations

from typing import NamedTuple

from lineal.core.names import DEFAULT_PROJECT, LATEST, generated, is_words
from lineal.errors import Invalid

ARTIFACT_SCHEMES = ("lineal-artifact://", "wandb-artifact://")
"""Before names of artifacts in configs and paths."""


class ArtifactPath(NamedTuple):
    """`entity/project/name:ref`, complete. `ref` is `vN`, an alias or a digest."""

    entity: str
    project: str
    name: str
    ref: str = LATEST
    display_name: str | None = None
    """What was given as the name if no collection can be called so; `name` was made of it."""

    def __str__(self) -> str:
        return f"{self.without_ref}:{self.ref}"

    @property
    def without_ref(self) -> str:
        """`entity/project/name`: the collection."""
        return f"{self.entity}/{self.project}/{self.name}"


def artifact_path(text: str, entity: str, project: str | None) -> ArtifactPath:
    """Parse `[[entity/]project/]name[:ref]`; what is missing comes from the arguments.

    No ref means `latest` (NAM-6). The ref may contain slashes when read (X-7). A scheme prefix
    (`lineal-artifact://`, `wandb-artifact://`) is accepted. Raises Invalid for more than three
    parts. Words such as `My Model` name the collection that a link to them makes, `My_Model`.
    Source: NAM-1, NAM-5.
    """
    if not isinstance(text, str) or not text:
        raise Invalid("An artifact is named as `name:alias`, `project/name:alias` or with entity")
    text = without_scheme(text)
    path, colon, ref = text.partition(":")
    parts = path.split("/")
    if len(parts) > 3 or not all(parts) or (colon and not ref):
        raise Invalid(f"Cannot read {text!r} as [[entity/]project/]name[:alias]")
    if len(parts) == 3:
        entity = parts[0]
    if len(parts) >= 2:
        project = parts[-2]
    given = parts[-1]
    words = given if is_words(given) else None
    name = given if words is None else generated(given)
    return ArtifactPath(entity, project or DEFAULT_PROJECT, name, ref or LATEST, words)


def without_scheme(text: str) -> str:
    """Return the name of an artifact without what may stand before it (`ARTIFACT_SCHEMES`)."""
    for scheme in ARTIFACT_SCHEMES:
        text = text.removeprefix(scheme)
    return text


def is_with_scheme(text: str) -> bool:
    """Say whether a name can only be that of an artifact, for what stands before it."""
    return text.startswith(ARTIFACT_SCHEMES)


def artifact_id(text: str) -> str | None:
    """Return the number in `wandb-artifact://_id/12`, which names a version by its id (RUN-23)."""
    for scheme in ARTIFACT_SCHEMES:
        number = text.removeprefix(f"{scheme}_id/")
        if number != text and number.isascii() and number.isdecimal():
            return number
    return None


def collection_path(text: str, entity: str, project: str | None, *, instead: str) -> ArtifactPath:
    """Parse `[[entity/]project/]name`, where a version would make no sense.

    instead: what to use for a version or alias. Raises Invalid for `name:ref`, saying that.
    """
    path = artifact_path(text, entity, project)
    if names_version(text):
        raise Invalid(f"{text} names a version, and only a name belongs here; {instead}")
    return path


def names_version(text: str) -> bool:
    """Say whether the name of an artifact has a ref, as `name:v3`; the `:` of a scheme is none."""
    return ":" in without_scheme(text)


def project_path(text: str | None, entity: str, project: str | None) -> tuple[str, str]:
    """Parse `[entity/]project`; returns (entity, project)."""
    if not text:
        return entity, project or DEFAULT_PROJECT
    if not isinstance(text, str):
        raise Invalid(f"A project is named as `project` or `entity/project`, not {text!r}")
    parts = text.strip("/").split("/")
    if len(parts) > 2 or not all(parts):
        raise Invalid(f"Cannot read {text!r} as [entity/]project")
    return (parts[0], parts[1]) if len(parts) == 2 else (entity, parts[0])


def named_project(text: str, entity: str) -> tuple[str, str]:
    """Parse `[entity/]project` where a default would be wrong: what is changed must be named."""
    if not isinstance(text, str) or not text.strip("/"):
        raise Invalid(f"A project is named as `project` or `entity/project`, not {text!r}")
    return project_path(text, entity, None)


def run_path(text: str, entity: str, project: str | None) -> tuple[str, str, str]:
    """Parse `[[entity/]project/]run_id`; `…/runs/id` and a leading slash are accepted (API-7)."""
    if not isinstance(text, str) or not text:
        raise Invalid("A run is named as `run_id`, `project/run_id` or `entity/project/run_id`")
    return _path_of("runs", text, entity, project)


def sweep_path(text: str, entity: str, project: str | None) -> tuple[str, str, str]:
    """Parse `[[entity/]project/]sweep_id`; `…/sweeps/id` and a leading slash are accepted."""
    if not isinstance(text, str) or not text:
        raise Invalid(
            "A sweep is named as `sweep_id`, `project/sweep_id` or `entity/project/sweep_id`"
        )
    return _path_of("sweeps", text, entity, project)


def _path_of(folder: str, text: str, entity: str, project: str | None) -> tuple[str, str, str]:
    parts = [part for part in text.strip("/").split("/") if part]
    if len(parts) >= 2 and parts[-2] == folder:
        del parts[-2]
    if not 1 <= len(parts) <= 3:
        raise Invalid(f"Cannot read {text!r} as [[entity/]project/]{folder[:-1]}_id")
    if len(parts) == 3:
        entity = parts[0]
    if len(parts) >= 2:
        project = parts[-2]
    return entity, project or DEFAULT_PROJECT, parts[-1]
