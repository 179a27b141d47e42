"""The classes of what `Api` returns."""

from lineal.client.public.api import Api as Api
from lineal.client.public.catalog import ArtifactType as ArtifactType
from lineal.client.public.catalog import Collection as ArtifactCollection
from lineal.client.public.catalog import Project as Project
from lineal.client.public.files import File as File
from lineal.client.public.lists import LazyList as Files
from lineal.client.public.lists import LazyList as Runs
from lineal.client.public.run import Run as Run
from lineal.client.public.sweep import Sweep as Sweep
from lineal.client.public.user import User as User

from . import api as api
from . import artifacts as artifacts
from . import files as files
from . import projects as projects
from . import runs as runs
from . import sweeps as sweeps
from . import users as users

__all__ = [
    "Api",
    "ArtifactCollection",
    "ArtifactType",
    "File",
    "Files",
    "Project",
    "Run",
    "Runs",
    "Sweep",
    "User",
]
