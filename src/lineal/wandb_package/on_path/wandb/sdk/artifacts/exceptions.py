"""What an artifact raises in the wrong state."""

from lineal.errors import ArtifactFinalizedError as ArtifactFinalizedError
from lineal.errors import ArtifactNotLoggedError as ArtifactNotLoggedError
from lineal.errors import ArtifactStatusError as ArtifactStatusError
from lineal.errors import WaitTimeoutError as WaitTimeoutError
