"""Addresses of runs, sweeps and projects (`run.url`), taken wherever a path is."""

from __future__ import annotations

from lineal.client.backend import Backend
from lineal.core.full_names import ARTIFACT_SCHEMES
from lineal.errors import Invalid


def path_of(backend: Backend, text: str) -> str:
    """Return the path that an address of this backend holds; what is no address as it is.

    Raises Invalid for an address that is elsewhere.
    """
    if not isinstance(text, str) or "://" not in text or text.startswith(ARTIFACT_SCHEMES):
        return text
    own = f"{backend.url}/"
    if not text.startswith(own):
        raise Invalid(
            f"{text} is not in {backend.url}; give its path, such as `entity/project/run_id`, or "
            'open the home where it is: Api({"base_url": "file:///…"})'
        )
    return text.removeprefix(own)
