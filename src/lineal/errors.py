"""Every error Lineal raises, once: a class, a stable code, an HTTP status and an exit code.

Grouped by what a caller would do about it. Codes are never renamed. The names that end in
`Error` are those the W&B SDK uses, so that `except wandb.CommError` goes on working.
"""

from __future__ import annotations

from typing import ClassVar


class LinealError(Exception):
    """Base of all errors; catching it catches everything Lineal raises on purpose."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__


class CommError(LinealError):
    """The instance refused or failed; `exc` is the original exception, if any (ART-5)."""

    code = "instance_error"

    @property
    def exc(self) -> BaseException | None:
        return self.__cause__


# --- the thing is not there, or may not be seen -------------------------------------------------


class NotFound(CommError):
    """Nothing of that name, or nothing the actor may read: the same answer on purpose."""

    code = "not_found"
    status = 404
    exit_code = 4


class RunNotFoundError(NotFound, ValueError):
    """Also a ValueError, as W&B's is. meant: the full name of the run that is meant perhaps."""

    code = "run_not_found"

    def __init__(self, *args: object, meant: str | None = None) -> None:
        super().__init__(*args)
        self.meant = meant


class ProjectNotFound(NotFound, ValueError):
    """Also a ValueError, as W&B's is for the runs of a project that is not there."""

    code = "project_not_found"


class SweepNotFound(NotFound, ValueError):
    """Also a ValueError, as W&B's is."""

    code = "sweep_not_found"


class Gone(NotFound):
    """It was deleted; the message says when, by whom, and how to restore it.

    is_final: its content was released, so that it cannot be restored.
    """

    code = "gone"
    status = 410

    def __init__(self, *args: object, is_final: bool = False) -> None:
        super().__init__(*args)
        self.is_final = is_final


class RunGone(Gone, RunNotFoundError):
    """A run that was deleted: also a ValueError, as W&B's is for any run that is not there."""

    code = "run_gone"


# --- it is there, but ---------------------------------------------------------------------------


class Exists(CommError):
    """The name is taken."""

    code = "exists"
    status = 409
    exit_code = 5


class FileExists(Exists, ValueError):
    """A local file that would have to be overwritten; W&B raises a ValueError."""

    code = "file_exists"


class Conflict(CommError):
    """Somebody else was faster (compare-and-swap), or the state does not allow it."""

    code = "conflict"
    status = 409
    exit_code = 5


class Superseded(Conflict):
    """Somebody made a newer version meanwhile than the one that was to be added to."""

    code = "superseded"


class InTheWay(LinealError, FileExistsError):
    """A file lies where a folder must be, or the reverse; it was left as it is."""

    code = "in_the_way"
    status = 409
    exit_code = 5

    def __str__(self) -> str:  # OSError would print the tuple of its arguments
        return self.message


class Denied(CommError):
    """Readable, but this actor may not do that to it."""

    code = "denied"
    status = 403
    exit_code = 6


# --- what was asked makes no sense --------------------------------------------------------------


class Invalid(LinealError, ValueError):
    """A name, path, value or combination that can never work."""

    code = "invalid"
    status = 422
    exit_code = 2


class UsageError(Invalid):
    """The call makes no sense now: no active run, a finished run, contradictory arguments."""

    code = "usage"


class HostilePath(Invalid):
    """A path that would leave its folder, or that no file system can hold safely."""

    code = "hostile_path"


class ArtifactStatusError(LinealError, AttributeError):
    """The artifact is in the wrong state for this. Source: ART-5."""

    code = "artifact_status"
    status = 409
    exit_code = 2


class ArtifactNotLoggedError(ArtifactStatusError):
    """Only a committed version has this; log the artifact first."""

    code = "artifact_not_logged"


class ArtifactFinalizedError(ArtifactStatusError):
    """The artifact was handed to a log call, or finalized; its content is fixed."""

    code = "artifact_finalized"


# --- bytes are not what they should be ----------------------------------------------------------


class IntegrityError(LinealError, ValueError):
    """Bytes do not match their digest, or an invariant does not hold."""

    code = "integrity"
    exit_code = 7


class SourceChanged(IntegrityError):
    """A local file changed or vanished between being added and being stored."""

    code = "source_changed"


class MissingFile(LinealError, FileNotFoundError):
    """A file or reference target that should be there is not."""

    code = "missing_file"
    status = 404
    exit_code = 4

    def __str__(self) -> str:  # OSError would print the tuple of its arguments
        return self.message


class ReferenceChanged(IntegrityError, MissingFile):
    """What a reference leads to is another object now, and the recorded version is not kept.

    Caught as a ValueError and as a FileNotFoundError: W&B raises the one for some schemes and
    the other for the rest.
    """

    code = "reference_changed"
    status = 404
    exit_code = 7


# --- not now ------------------------------------------------------------------------------------


class Unavailable(CommError):
    """Database locked, disk full, home not writable, network gone: trying later may help."""

    code = "unavailable"
    status = 503
    exit_code = 8


class NoSpace(Unavailable):
    """The disk or the quota is full; nothing half-written is visible."""

    code = "no_space"
    status = 507


class WaitTimeoutError(LinealError, TimeoutError):
    """`wait(timeout)` or `finish_timeout` ran out; the upload goes on."""

    code = "wait_timeout"
    exit_code = 8


class ArtifactsFailed(LinealError):
    """`finish()` found artifacts that could not be stored; `failures` maps name to cause."""

    code = "artifacts_failed"

    def __init__(self, failures: dict[str, BaseException]) -> None:
        self.failures = failures
        lines = [f"  {name}: {cause}" for name, cause in failures.items()]
        noun = "artifact was" if len(failures) == 1 else "artifacts were"
        super().__init__(f"{len(failures)} {noun} not stored:\n" + "\n".join(lines))


class SyncFailed(LinealError):
    """Not all of some offline runs was copied; the message has folder, name and cause of each."""

    code = "sync_failed"


class TrialStopped(LinealError):
    """A sweep ends this trial: raised by `run.log`, so that the program stops and cleans up."""

    code = "trial_stopped"


class TrialsFailed(LinealError):
    """An agent gave up, since its first trials all failed; or all that it carried out failed."""

    code = "trials_failed"


# W&B's names, for `except` clauses.
Error = LinealError
AuthenticationError = Denied
UnsupportedError = UsageError
