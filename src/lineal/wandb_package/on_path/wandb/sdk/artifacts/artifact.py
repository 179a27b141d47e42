"""The artifact."""

from lineal.client.artifact.artifact import Artifact as Artifact
