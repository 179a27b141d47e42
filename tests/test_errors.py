"""Errors: each has a code of its own, and those who catch W&B's or Python's classes catch ours."""

from __future__ import annotations

import pytest

from lineal import errors
from lineal.errors import LinealError

CODES = {
    "LinealError": "error",
    "CommError": "instance_error",
    "NotFound": "not_found",
    "RunNotFoundError": "run_not_found",
    "ProjectNotFound": "project_not_found",
    "SweepNotFound": "sweep_not_found",
    "Gone": "gone",
    "RunGone": "run_gone",
    "Exists": "exists",
    "FileExists": "file_exists",
    "Conflict": "conflict",
    "Superseded": "superseded",
    "InTheWay": "in_the_way",
    "Denied": "denied",
    "Invalid": "invalid",
    "UsageError": "usage",
    "HostilePath": "hostile_path",
    "ArtifactStatusError": "artifact_status",
    "ArtifactNotLoggedError": "artifact_not_logged",
    "ArtifactFinalizedError": "artifact_finalized",
    "IntegrityError": "integrity",
    "SourceChanged": "source_changed",
    "MissingFile": "missing_file",
    "ReferenceChanged": "reference_changed",
    "Unavailable": "unavailable",
    "NoSpace": "no_space",
    "WaitTimeoutError": "wait_timeout",
    "ArtifactsFailed": "artifacts_failed",
    "SyncFailed": "sync_failed",
    "TrialStopped": "trial_stopped",
    "TrialsFailed": "trials_failed",
}
"""Codes are never renamed: clients and scripts compare them. New ones are added here."""


def classes() -> list[type[LinealError]]:
    found = [LinealError]
    for parent in found:
        found.extend(child for child in parent.__subclasses__() if child not in found)
    return [cls for cls in found if cls.__module__ == errors.__name__]


def test_codes_are_those_that_were_published() -> None:
    assert {cls.__name__: cls.code for cls in classes()} == CODES


def test_except_clauses_of_scripts_name_what_is_there() -> None:
    assert issubclass(errors.AuthenticationError, errors.CommError)
    assert issubclass(errors.UnsupportedError, errors.Error)


def test_no_two_errors_share_a_code() -> None:
    codes = [cls.code for cls in classes()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("cls", classes())
def test_every_error_has_status_and_exit_code(cls: type[LinealError]) -> None:
    assert 400 <= cls.status < 600
    assert 0 < cls.exit_code < 126  # 126 and up belong to the shell


@pytest.mark.parametrize("cls", [c for c in classes() if c is not errors.ArtifactsFailed])
def test_message_is_what_was_said(cls: type[LinealError]) -> None:
    assert cls("No version `prod`").message == "No version `prod`"
    assert str(cls("No version `prod`")) == "No version `prod`"
    assert cls().message == cls.__name__


@pytest.mark.parametrize(
    ("cls", "caught_as"),
    [
        (errors.Invalid, ValueError),
        (errors.HostilePath, ValueError),
        (errors.RunNotFoundError, ValueError),
        (errors.ProjectNotFound, ValueError),
        (errors.SweepNotFound, ValueError),
        (errors.FileExists, ValueError),
        (errors.IntegrityError, ValueError),
        (errors.MissingFile, FileNotFoundError),
        (errors.WaitTimeoutError, TimeoutError),
        (errors.ArtifactNotLoggedError, AttributeError),
        (errors.ArtifactFinalizedError, errors.ArtifactStatusError),
        (errors.NotFound, errors.CommError),
        (errors.Unavailable, errors.CommError),
    ],
)
def test_scripts_that_catch_the_usual_classes_catch_ours(
    cls: type[LinealError], caught_as: type[Exception]
) -> None:
    assert issubclass(cls, caught_as)


def test_everything_raised_on_purpose_is_caught_by_one_class() -> None:
    assert errors.Error is LinealError
    assert all(issubclass(cls, errors.Error) for cls in classes())


def test_communication_error_keeps_its_cause() -> None:
    cause = OSError("disk")
    with pytest.raises(errors.CommError) as raised:
        raise errors.Unavailable("Cannot write") from cause
    assert raised.value.exc is cause


def test_failed_artifacts_are_all_named_with_their_causes() -> None:
    failure = errors.ArtifactsFailed({"a": ValueError("bad"), "b": OSError("full")})
    assert failure.message == "2 artifacts were not stored:\n  a: bad\n  b: full"
    assert "1 artifact was not stored" in str(errors.ArtifactsFailed({"a": ValueError()}))
