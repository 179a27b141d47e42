"""Artifacts, their types and collections, and lists of them."""

from lineal.client.public.catalog import ArtifactType as ArtifactType
from lineal.client.public.catalog import Collection as ArtifactCollection
from lineal.client.public.lists import LazyList as ArtifactCollections
from lineal.client.public.lists import LazyList as ArtifactFiles
from lineal.client.public.lists import LazyList as ArtifactTypes
from lineal.client.public.lists import LazyList as Artifacts
from lineal.client.public.lists import LazyList as RunArtifacts

__all__ = [
    "ArtifactCollection",
    "ArtifactCollections",
    "ArtifactFiles",
    "ArtifactType",
    "ArtifactTypes",
    "Artifacts",
    "RunArtifacts",
]
