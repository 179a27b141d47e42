"""From draft to version: logging, many writers, models (ART-38…ART-46, SEM)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.client.artifact.conftest import (
    ALL_IN_FOLDER,
    content,
    draft,
    paths,
    renamed,
    uploads_held,
)

import lineal
from lineal.client.artifact.artifact import Artifact
from lineal.errors import (
    ArtifactsFailed,
    CommError,
    Invalid,
    WaitTimeoutError,
)

# --- logging, waiting, saving (ART-38…ART-40) ---------------------------------------------------


def test_logging_returns_the_artifact_at_once(run: lineal.Run) -> None:
    artifact = draft()
    assert run.log_artifact(artifact) is artifact
    assert artifact.wait() is artifact
    assert artifact.wait(timeout=1).version == "v0"


@pytest.mark.parametrize(
    ("path", "entries", "name"),
    [
        ("tree", ALL_IN_FOLDER, "run-train-tree:v0"),
        ("tree/a.txt", ["a.txt"], "run-train-a.txt:v0"),
        ("file://{}/a.txt", ["a.txt"], "run-train-a.txt:v0"),
    ],
)
def test_a_path_is_logged_as_file_folder_or_reference(
    run: lineal.Run, folder: Path, path: str, entries: list[str], name: str
) -> None:
    target = path.format(folder) if "://" in path else str(folder.parent / path)
    artifact = run.log_artifact(target).wait()
    assert (artifact.name, artifact.type) == (name, "unspecified")
    assert paths(artifact) == entries


def test_a_path_may_be_given_a_name_and_a_type(run: lineal.Run, folder: Path) -> None:
    artifact = run.log_artifact(folder, name="data", type="dataset", aliases="prod").wait()
    assert (artifact.name, artifact.type) == ("data:v0", "dataset")
    assert sorted(artifact.aliases) == ["latest", "prod"]


def test_a_path_to_nothing_is_a_value_error(run: lineal.Run) -> None:
    with pytest.raises(ValueError, match="no file, folder or reference"):
        run.log_artifact("gone")


@pytest.mark.parametrize("what", [None, 3, {"a": 1}])
def test_what_is_no_artifact_is_a_type_error(run: lineal.Run, what: Any) -> None:
    with pytest.raises(TypeError, match="log_artifact takes an Artifact or a path"):
        run.log_artifact(what)


@pytest.mark.parametrize("what", ["aliases", "tags"])
def test_what_is_no_list_of_names_is_a_type_error(run: lineal.Run, what: str) -> None:
    with pytest.raises(TypeError, match=rf"(?i){what} must be a text or a list of texts, not 5"):
        run.log_artifact(draft(), **{what: 5})


def test_an_unknown_rule_for_unchanged_content_is_refused_at_once(run: lineal.Run) -> None:
    artifact = draft()
    with pytest.raises(Invalid, match="cannot be 'zz'; use reuse, update_metadata, new_version"):
        run.log_artifact(artifact, on_unchanged="zz")  # type: ignore[arg-type]  # the test
    assert run.log_artifact(artifact).wait().version == "v0"


def test_waiting_has_a_time_limit(run: lineal.Run) -> None:
    with uploads_held():
        artifact = run.log_artifact(draft())
        with pytest.raises(WaitTimeoutError, match=r"not stored within 0\.01 s") as raised:
            artifact.wait(timeout=0.01)
    assert isinstance(raised.value, TimeoutError)
    assert artifact.wait().version == "v0"


def test_a_run_waits_for_its_end_no_longer_than_it_may(capsys: pytest.CaptureFixture[str]) -> None:
    run = lineal.init(settings={"finish_timeout": 0.01})
    with uploads_held():
        logged = [run.log_artifact(draft(name=f"data{n}")) for n in range(12)]
        run.summary["loss"] = 1
        run.finish(exit_code=3)
        said = capsys.readouterr().err
        assert "12 of its artifacts were not stored within `finish_timeout`, 0.01 s" in said
        assert "data0, data1, data2" in said
        assert "data9 and 2 more. They go on" in said
        assert lineal.run is None
        assert run.backend.run_by_key(run.record.key).summary["loss"] == 1
    assert [artifact.wait().version for artifact in logged] == ["v0"] * 12
    lineal.teardown()
    found = lineal.Api().run(run.path)
    assert (found.state, len(found.logged_artifacts())) == ("failed", 12)


def test_a_run_whose_end_takes_too_long_raises_where_it_is_told_to() -> None:
    settings = {"finish_timeout": 0.01, "finish_timeout_raises": True}
    with (
        uploads_held(),
        pytest.raises(WaitTimeoutError, match=r"1 of its artifacts .* 0\.01 s: data\. They go on"),
        lineal.init(settings=settings) as run,
    ):
        run.log_artifact(draft())
    lineal.teardown()
    assert lineal.Api().run(run.path).state == "finished"


def test_an_error_in_a_run_is_raised_even_if_its_end_takes_too_long() -> None:
    def fail() -> None:
        with lineal.init(settings={"finish_timeout": 0.01, "finish_timeout_raises": True}) as run:
            run.log_artifact(draft())
            raise ZeroDivisionError

    with uploads_held(), pytest.raises(ZeroDivisionError):
        fail()
    lineal.teardown()
    assert lineal.Api().runs()[0].state == "failed"


def test_the_end_of_the_process_waits_for_what_finish_left() -> None:
    run = lineal.init(settings={"finish_timeout": 1e-9})
    for number in range(30):
        run.log_artifact(draft({"a": b"%d" % number}))
    run.finish()
    lineal.teardown()
    assert len(lineal.Api().run(run.path).logged_artifacts()) == 30


def test_a_failed_upload_is_raised_by_wait_and_by_finish() -> None:
    run = lineal.init()
    artifact = run.log_artifact(draft({"a": b"1", "a/b": b"2"}))
    with pytest.raises(ValueError, match="file and a folder"):
        artifact.wait()
    with pytest.raises(ArtifactsFailed, match="data"):
        run.finish()


def test_saving_a_draft_in_a_run_logs_it(run: lineal.Run) -> None:
    artifact = draft()
    artifact.save()
    logged_by = artifact.wait().logged_by()
    assert logged_by is not None
    assert logged_by.id == "train"


def test_saving_a_draft_without_a_run_makes_one(api: lineal.Api) -> None:
    artifact = draft()
    artifact.save()
    maker = artifact.logged_by()
    assert maker is not None
    assert (maker.job_type, maker.state) == ("auto", "finished")


def test_saving_elsewhere_makes_a_run_there() -> None:
    artifact = draft()
    artifact.save(project="elsewhere")
    assert artifact.qualified_name == "ana/elsewhere/data:v0"


# --- distributed versions (ART-44) --------------------------------------------------------------


def test_several_runs_write_one_version(run: lineal.Run) -> None:
    part = run.upsert_artifact(draft({"one": b"1"}))
    rest = run.finish_artifact(draft({"two": b"2"})).wait()
    assert part.is_draft()
    assert (rest.version, paths(rest)) == ("v0", ["one", "two"])
    assert content(rest.download()) == {"one": b"1", "two": b"2"}


def test_all_runs_that_contributed_are_producers_and_give_their_aliases() -> None:
    for name in ("one", "two"):
        with lineal.init(id=name, group="night") as run:
            run.upsert_artifact(draft({name: b"1"}), aliases=[f"from-{name}"])
    with lineal.init(id="last", group="night") as run:
        run.upsert_artifact(draft({"early": b"0"}))
        version = run.finish_artifact(draft({"last": b"1"}), aliases="done").wait()
    assert version.aliases == ["done", "from-one", "from-two", "latest"]
    producer = version.logged_by()
    assert producer is not None
    assert producer.id == "last"
    for name in ("one", "two", "last"):
        logged = lineal.Api().run(name).logged_artifacts()
        assert [each.name for each in logged] == ["data:v0"]


def test_after_finishing_the_same_id_begins_a_new_version(run: lineal.Run) -> None:
    run.upsert_artifact(draft({"one": b"1"}))
    run.finish_artifact(draft({"two": b"2"})).wait()
    run.upsert_artifact(draft({"three": b"3"}), distributed_id="night")
    second = run.finish_artifact(draft({"four": b"4"}), distributed_id="night").wait()
    assert second.distributed_id == "night"
    assert (second.version, paths(second)) == ("v1", ["four", "three"])


def test_contributions_are_not_visible_until_finished(run: lineal.Run, api: lineal.Api) -> None:
    run.upsert_artifact(draft({"one": b"1"}))._failure()
    assert not api.artifact_exists("data:latest")


def test_different_content_for_one_path_is_an_error() -> None:
    run = lineal.init(id="writer", group="g")
    run.upsert_artifact(draft({"same": b"1"}))
    with pytest.raises(CommError, match="'same' was contributed with different content"):
        run.finish_artifact(draft({"same": b"2"})).wait()
    with pytest.raises(ArtifactsFailed):
        run.finish()


def test_a_distributed_version_needs_an_id_or_a_group() -> None:
    with lineal.init() as run, pytest.raises(TypeError, match="distributed_id"):
        run.upsert_artifact(draft())


def test_the_stub_for_a_config_names_id_and_version(logged: Artifact) -> None:
    stub = logged.json_encode()
    assert json.loads(json.dumps(stub)) == stub
    assert (stub["_type"], stub["version"]) == ("artifactVersion", "v0")
    assert (stub["id"], stub["sequenceName"]) == (logged.id, "data")


# --- models (ART-46) ----------------------------------------------------------------------------


def test_a_model_is_logged_and_used(run: lineal.Run, folder: Path) -> None:
    model = run.log_model(folder / "a.txt", name="net", aliases=["best"]).wait()
    assert (model.type, model.name) == ("model", "net:v0")
    assert Path(run.use_model("net:best")).read_bytes() == b"a.txt"
    run.log_model(folder, name="tree").wait()
    assert Path(run.use_model("tree")).is_dir()


def test_what_is_no_model_is_refused_as_one(run: lineal.Run, logged: Artifact) -> None:
    with pytest.raises(AssertionError, match="'dataset'"):
        run.use_model("data")


def test_a_registered_model_has_a_name(run: lineal.Run, folder: Path) -> None:
    with pytest.raises(TypeError, match="A registered model must be a text or a path, not 5"):
        run.link_model(folder / "a.txt", 5)  # type: ignore[arg-type]  # on purpose


def test_a_model_is_linked_to_a_registered_one(run: lineal.Run, folder: Path) -> None:
    link = run.link_model(folder / "a.txt", "detector", name="net", aliases=["prod"])
    assert link is not None
    assert (link.name, link.source_name) == ("detector:v0", "net:v0")
    assert link.aliases == ["latest", "prod"]
    assert link.source_artifact.aliases == ["latest"]


def test_a_model_of_a_type_of_its_own_keeps_it_when_it_is_linked(
    run: lineal.Run, folder: Path
) -> None:
    run.log_artifact(folder / "b.log", name="net", type="Keras-Model")
    link = run.link_model(folder / "a.txt", "detector", name="net")
    assert link is not None
    assert (link.type, link.source_name) == ("Keras-Model", "net:v1")


@pytest.mark.parametrize(("name", "target"), [("data", "detector"), ("net", "registry/detector")])
def test_what_is_no_model_and_no_name_of_one_is_not_linked(
    run: lineal.Run, logged: Artifact, folder: Path, name: str, target: str
) -> None:
    with pytest.raises(AssertionError, match=r"'dataset'|alone"):
        run.link_model(folder / "a.txt", target, name=name)
    assert [each.name for each in lineal.Api().run(run.path).logged_artifacts()] == ["data:v0"]


# --- log and use (SEM) --------------------------------------------------------------------------


def test_content_of_any_earlier_version_makes_no_new_one(
    run: lineal.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (b"1", b"2"):
        run.log_artifact(draft({"n": number})).wait()
    capsys.readouterr()
    again = run.log_artifact(draft({"n": b"1"}), aliases=["prod"]).wait()
    assert again.version == "v0"
    assert sorted(again.aliases) == ["latest", "prod"]
    told = "data has this content already, as v0, which is `latest` again\n"
    assert told in capsys.readouterr().err
    run.log_artifact(draft({"n": b"2"})).wait()
    assert "data is unchanged, still v1\n" in capsys.readouterr().err


def test_another_run_that_logs_the_same_becomes_a_producer(api: lineal.Api) -> None:
    for name in ("first", "second"):
        with lineal.init(id=name) as run:
            run.log_artifact(draft())
    assert [each.name for each in api.run("second").logged_artifacts()] == ["data:v0"]
    maker = api.artifact("data:v0").logged_by()
    assert maker is not None
    assert maker.id == "first"


def test_a_change_of_metadata_alone_makes_no_version_and_says_so(
    run: lineal.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.log_artifact(draft(metadata={"k": 1})).wait()
    again = run.log_artifact(draft(metadata={"k": 2})).wait()
    assert (again.version, again.metadata) == ("v0", {"k": 1})
    said = capsys.readouterr().err
    assert "its metadata (on_unchanged='update_metadata'" in said


def test_a_change_of_description_and_ttl_alone_makes_no_version_and_says_so(
    run: lineal.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.log_artifact(draft(description="first")).wait()
    changed = draft(description="second")
    changed.ttl = 5
    again = run.log_artifact(changed).wait()
    assert (again.version, again.description, again.ttl) == ("v0", "first", None)
    said = capsys.readouterr().err
    assert "its description and TTL (on_unchanged='update_metadata'" in said


def test_unchanged_content_may_update_metadata_or_make_a_version(run: lineal.Run) -> None:
    run.log_artifact(draft(metadata={"k": 1})).wait()
    updated = run.log_artifact(draft(metadata={"k": 2}), on_unchanged="update_metadata").wait()
    assert (updated.version, updated.metadata) == ("v0", {"k": 2})
    forced = run.log_artifact(draft(metadata={"k": 3}), on_unchanged="new_version").wait()
    assert (forced.version, forced.metadata) == ("v1", {"k": 3})


def test_using_records_an_input_once(run: lineal.Run, logged: Artifact) -> None:
    lineal.finish()
    with lineal.init(id="eval") as consumer:
        consumer.use_artifact("data:v0")
        used = consumer.use_artifact("data:latest", type="dataset")
    assert [each.id for each in used.used_by()] == ["eval"]


def test_using_as_another_type_is_a_value_error(run: lineal.Run, logged: Artifact) -> None:
    with pytest.raises(ValueError, match="`dataset`, not `model`"):
        run.use_artifact("data:v0", type="model")


def test_a_draft_is_used_as_made_by_no_run(run: lineal.Run) -> None:
    artifact = draft()
    run.use_artifact(artifact, aliases=["given"])
    assert not artifact.is_draft()
    assert artifact.logged_by() is None
    assert [each.id for each in artifact.used_by()] == ["train"]
    assert "given" in artifact.aliases


def test_an_artifact_of_another_project_may_be_used(logged: Artifact) -> None:
    lineal.finish()
    with lineal.init(project="elsewhere", id="reader") as reader:
        used = reader.use_artifact("vision/data:v0")
    assert [(each.project, each.id) for each in used.used_by()] == [("elsewhere", "reader")]


def test_the_edge_keeps_the_version_when_the_alias_moves(run: lineal.Run) -> None:
    run.log_artifact(draft({"n": b"1"})).wait()
    lineal.finish()
    with lineal.init(id="reader") as reader:
        reader.use_artifact("data:latest")
    with lineal.init(id="writer") as writer:
        writer.log_artifact(draft({"n": b"2"}))
    used = lineal.Api({"project": "vision"}).run("reader").used_artifacts()
    assert [each.name for each in used] == ["data:v0"]


def test_a_version_is_used_logged_and_linked_under_the_name_that_its_collection_has_by_now(
    run: lineal.Run, logged: Artifact, api: lineal.Api
) -> None:
    link = logged.link("released")
    renamed(api, "data", "pictures")
    renamed(api, "released", "good")
    run.log_artifact(draft({"other": b"other"})).wait()  # takes the name that is free now
    run.use_artifact(logged)
    run.use_artifact(link)
    run.log_artifact(logged, aliases=["again"])
    assert run.link_artifact(logged, "shown").source_name == "pictures:v0"
    assert [used.name for used in api.run("train").used_artifacts()] == ["pictures:v0"]
    assert api.artifact("pictures:again").id == logged.id
    assert logged.collection.name == "pictures"
    assert (link.collection.name, link.source_collection.name) == ("good", "pictures")
    assert [move.alias for move in logged.alias_history()] == ["latest", "again"]
    other = draft(name="other")
    other.add_reference(logged.get_entry("b/c/d.txt"))
    assert content(run.log_artifact(other).wait().download())["d.txt"] == b"bcd"
