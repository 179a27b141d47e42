from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path

import pytest

import lineal
from lineal.client.run.logged_artifacts import REMEMBERED
from lineal.core.records import EdgeKind
from lineal.errors import ArtifactsFailed, Exists, Invalid, NotFound, Unavailable, UsageError


def draft(name: str = "data", text: str = "a", type: str = "dataset") -> lineal.Artifact:
    artifact = lineal.Artifact(name, type)
    with artifact.new_file("a.txt") as file:
        file.write(text)
    return artifact


@pytest.fixture
def run() -> lineal.Run:
    return lineal.init(project="p")


def lineage(run: lineal.Run) -> tuple[list[str], list[str]]:
    found = lineal.Api().run(run.path)
    return (
        [artifact.name for artifact in found.logged_artifacts()],
        [artifact.name for artifact in found.used_artifacts()],
    )


def test_logging_returns_the_artifact_at_once_and_wait_gives_the_version(run):
    artifact = draft()
    assert run.log_artifact(artifact, aliases="best", tags=["raw"]) is artifact
    artifact.wait()
    assert (artifact.name, sorted(artifact.aliases), artifact.tags) == (
        "data:v0",
        ["best", "latest"],
        ["raw"],
    )


def test_versions_of_one_name_are_numbered_in_call_order(run):
    artifacts = [run.log_artifact(draft(text=str(number))) for number in range(5)]
    assert [artifact.wait().version for artifact in artifacts] == [f"v{n}" for n in range(5)]


def test_paths_of_files_and_folders_are_taken(run):
    Path("d").mkdir()
    Path("d/x.txt").write_text("x")
    one = run.log_artifact("d/x.txt").wait()
    assert (one.name, one.type) == (f"run-{run.id}-x.txt:v0", "unspecified")
    folder = run.log_artifact(Path("d"), name="folder", type="dataset").wait()
    assert list(folder.manifest.entries) == ["x.txt"]
    with pytest.raises(ValueError, match="nowhere"):
        run.log_artifact("nowhere")
    with pytest.raises(TypeError):
        run.log_artifact(5)  # type: ignore[arg-type]  # that is the point


def test_an_alias_that_looks_like_a_version_is_refused_before_anything_happens(run):
    with pytest.raises(Invalid):
        run.log_artifact(draft(), aliases=["v3"])
    run.finish()


def test_an_empty_alias_beside_others_is_none_and_alone_it_is_refused(run):
    again = lineal.Api().run(run.path).log_artifact
    for log, name in ((run.log_artifact, "one"), (again, "two")):
        logged = log(draft(name), aliases=["last", "epoch 3", ""]).wait()
        assert logged.aliases == ["epoch 3", "last", "latest"]
        for nothing in ("", [""], ["last", " "]):
            with pytest.raises(Invalid, match="non-empty"):
                log(draft("other"), aliases=nothing)
    logged.aliases.append("")
    with pytest.raises(Invalid, match="non-empty"):
        logged.save()


def test_the_history_step_is_that_of_the_moment(run):
    assert run.log_artifact(draft("before")).wait().history_step is None
    for value in range(3):
        run.log({"x": value})
    assert run.log_artifact(draft("after")).wait().history_step == 2


def test_use_records_the_input_once(run):
    run.log_artifact(draft())
    run.finish()
    with lineal.init(project="p") as user:
        used = user.use_artifact("data:latest")
        user.use_artifact("data:v0", type="dataset")
        assert used.qualified_name == "ana/p/data:v0"
    assert lineage(user) == ([], ["data:v0"])


def test_threads_that_log_one_artifact_at_once_all_have_their_say(run):
    for name in ("first", "second", "third"):
        artifact = draft(name)
        barrier = threading.Barrier(4)

        def log(alias: str, artifact=artifact, barrier=barrier) -> None:
            barrier.wait()
            run.log_artifact(artifact, aliases=[alias])

        threads = [threading.Thread(target=log, args=(alias,)) for alias in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        artifact.wait()
        assert sorted(lineal.Api().artifact(f"p/{name}").aliases) == ["a", "b", "c", "d", "latest"]


def test_of_very_many_artifacts_few_are_on_their_way_at_once(home, run):
    on_their_way = []

    def log_many() -> None:
        for number in range(REMEMBERED + 40):
            run.log_artifact(draft(f"many{number}"))
            on_their_way.append(run._artifacts.waiting_count())

    logging = threading.Thread(target=log_many)
    blocker = sqlite3.connect(home / "lineal.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")  # nothing can be stored
    logging.start()
    while len(on_their_way) < REMEMBERED - 1:
        time.sleep(0.01)
    blocker.close()
    logging.join()
    assert max(on_their_way) < REMEMBERED
    run.finish()
    assert len(lineal.Api().run(run.path).logged_artifacts()) == REMEMBERED + 40


def test_a_use_keeps_the_alias_that_was_asked_for(run):
    run.log_artifact(draft(), aliases="prod").wait()
    with lineal.init(project="p", reinit="create_new") as user:
        user.use_artifact("data:prod")
    edges = user.backend.edges_of(user.record.key, EdgeKind.USED)
    assert [edge.alias for edge in edges] == ["prod"]


def test_what_was_just_logged_can_be_used_at_once(run):
    run.log_artifact(draft(text="1"))
    run.log_artifact(draft(text="2"))
    assert run.use_artifact("data:latest").version == "v1"


def test_another_type_than_that_of_the_collection_is_refused_at_once(run):
    run.log_artifact(draft()).wait()
    refused = draft(type="model")
    with pytest.raises(ValueError, match="ana/p/data has type `dataset`, not `model`"):
        run.log_artifact(refused)
    run.log_artifact(draft(text="b")).link("links").wait()
    with pytest.raises(Exists, match="ana/p/links holds links only"):
        run.log_artifact(draft("links"))
    with refused.new_file("still-a-draft.txt"):
        pass
    run.finish()
    assert lineage(run)[0] == ["data:v0", "data:v1"]


def test_a_home_that_is_busy_when_an_artifact_is_logged_is_waited_for_later(run, monkeypatch):
    def busy(_: object) -> None:
        raise Unavailable("The database is busy")

    monkeypatch.setattr(run.backend, "check_collection", busy)
    assert run.log_artifact(draft()).wait().version == "v0"


def test_use_of_another_type_or_of_nothing_fails(run):
    run.log_artifact(draft())
    with pytest.raises(ValueError, match="model"):
        run.use_artifact("data", type="model")
    with pytest.raises(NotFound):
        run.use_artifact("data:nope")
    with pytest.raises(TypeError):
        run.use_artifact(7)
    run.finish()
    assert lineage(run)[1] == []


def test_a_draft_that_cannot_be_used_or_linked_as_asked_is_not_stored(run):
    artifact = draft()
    with pytest.raises(ValueError, match="Artifact data has type `dataset`, not `model`"):
        run.use_artifact(artifact, type="model")
    for refused, given in (
        (run.use_artifact, (artifact,)),
        (run.link_artifact, (artifact, "links")),
        (artifact.link, ("links",)),
    ):
        with pytest.raises(ValueError, match="`v` and a number always mean a version"):
            refused(*given, aliases=["v3"])
    assert artifact.is_draft()
    assert not lineal.Api().artifact_collection_exists("p/data", "dataset")


def test_no_use_is_recorded_where_its_aliases_are_refused(run):
    run.log_artifact(draft())
    with pytest.raises(ValueError, match="`v` and a number always mean a version"):
        run.use_artifact("data", aliases=["v3"])
    run.finish()
    assert lineage(run)[1] == []


def test_using_a_draft_stores_it_as_made_by_the_user(run):
    artifact = run.use_artifact(draft(), aliases=["mine"])
    assert "mine" in artifact.aliases
    assert artifact.logged_by() is None
    run.finish()
    assert lineage(run) == ([], ["data:v0"])


def test_aliases_given_with_an_artifact_show_on_it(run):
    artifact = run.log_artifact(draft()).wait()
    artifact.aliases.append("unsaved")
    assert run.use_artifact(artifact, aliases=["used"]) is artifact
    assert run.log_artifact(artifact, aliases="again", tags="raw") is artifact
    assert artifact.aliases == ["latest", "unsaved", "used", "again"]
    assert artifact.tags == ["raw"]
    artifact.aliases.remove("used")
    artifact.save()
    stored = lineal.Api().artifact("p/data:v0")
    assert (stored.aliases, stored.tags) == (["again", "latest", "unsaved"], ["raw"])


def test_an_artifact_on_its_way_takes_the_alias_it_is_used_with(run):
    artifact = run.log_artifact(draft())
    assert "used" in run.use_artifact(artifact, aliases=["used"]).aliases
    assert run.use_artifact("data:used").version == "v0"


def test_logging_an_existing_version_attaches_it(run):
    artifact = run.log_artifact(draft()).wait()
    run.finish()
    with lineal.init(project="p") as other:
        other.log_artifact(artifact, aliases=["again"])
    assert lineage(other) == (["data:v0"], [])
    assert "again" in lineal.Api().artifact("p/data:v0").aliases
    with lineal.init(project="q") as elsewhere, pytest.raises(UsageError, match="another project"):
        elsewhere.log_artifact(artifact)


def test_linking_logs_a_draft_first(run):
    artifact = draft()
    linked = run.link_artifact(artifact, "registry/best", aliases="prod")
    assert linked.qualified_name == "ana/registry/best:v0"
    assert linked.source_name == "data:v0"
    with pytest.raises(Invalid, match=r"best:v0 names a version, .*its aliases name the link"):
        run.link_artifact(artifact, "best:v0")
    again = run.link_artifact(artifact, "lineal-artifact://ana/registry/best")
    assert again.qualified_name == "ana/registry/best:v0"


def linked_elsewhere(tmp_path: Path) -> lineal.Artifact:
    home = {"home": str(tmp_path / "elsewhere")}
    with lineal.init(project="p", settings=home, reinit="create_new") as run:
        linked = run.link_artifact(draft(), "registry/best")
    assert linked.is_link
    return linked


@pytest.mark.parametrize("is_name_taken", [False, True])
def test_of_a_link_in_another_home_the_version_is_used_that_it_leads_to(
    run, tmp_path, is_name_taken
):
    linked = linked_elsewhere(tmp_path)
    run.log_artifact(draft(text="other")).wait()
    run.log_artifact(draft()).wait()
    if is_name_taken:
        run.link_artifact(draft("another", "another"), "registry/best")
    run.use_artifact(linked, aliases=["used"])
    run.finish()
    assert lineage(run)[1] == ["data:v1"]
    assert lineal.Api().artifact("p/data:used").version == "v1"


def test_a_link_in_another_home_that_leads_nowhere_here_says_what_is_missing(run, tmp_path):
    with pytest.raises(NotFound, match="ana/p/data"):
        run.use_artifact(linked_elsewhere(tmp_path))


def test_models_are_logged_used_and_linked(run):
    Path("weights.bin").write_bytes(b"w")
    Path("many").mkdir()
    for name in ("a", "b"):
        Path("many", name).write_text(name)
    run.log_model("weights.bin", name="net", aliases=["good"])
    path = run.use_model("net:good")
    assert os.path.basename(path) == "weights.bin"
    assert Path(path).read_bytes() == b"w"
    Path(path).with_name("notes.txt").write_text("mine")
    assert run.use_model("net:good") == path
    run.log_model("many", name="ensemble")
    assert sorted(os.listdir(run.use_model("ensemble"))) == ["a", "b"]
    linked = run.link_model("weights.bin", "digits", name="net", aliases=["staging"])
    assert linked.qualified_name == "ana/model-registry/digits:v0"
    run.log_artifact(draft())
    with pytest.raises(AssertionError):
        run.use_model("data:latest")
    run.log_artifact(draft("checkpoint", type="Keras-Model"))
    assert os.path.basename(run.use_model("checkpoint")) == "a.txt"
    run.finish()
    assert "data:v0" not in lineage(run)[1]


def test_what_failed_is_logged_again_as_it_is_asked_for_then(run):
    artifact = draft()
    Path("large.bin").write_bytes(b"large")
    artifact.add_file("large.bin", policy="immutable")
    Path("large.bin").rename("hidden.bin")
    run.log_artifact(artifact, aliases=["first"])
    with pytest.raises(ArtifactsFailed):
        run.finish()
    Path("hidden.bin").rename("large.bin")
    with lineal.init(project="q") as other:
        other.log_artifact(artifact, aliases=["second"], tags=["late"])
    assert (artifact.qualified_name, sorted(artifact.aliases)) == (
        "ana/q/data:v0",
        ["latest", "second"],
    )
    assert (artifact.tags, lineage(run)[0], lineage(other)[0]) == (["late"], [], ["data:v0"])


@pytest.mark.parametrize("end", ["finish_artifact", "log_artifact"])
def test_what_was_contributed_may_itself_be_finished_or_logged(end):
    with lineal.init(project="p", group="g") as run:
        artifact = draft()
        run.upsert_artifact(artifact)
        getattr(run, end)(artifact, aliases=["end"])
    assert (artifact.name, sorted(artifact.aliases)) == ("data:v0", ["end", "latest"])
    assert lineage(run)[0] == ["data:v0"]


def test_a_version_is_no_contribution_but_its_draft_is(run):
    logged = run.log_artifact(draft())
    with pytest.raises(UsageError, match=r"ana/p/data:v0 is a version already.*`new_draft\(\)`"):
        run.upsert_artifact(logged, distributed_id="d")
    run.upsert_artifact(logged.new_draft(), distributed_id="d")
    end = lineal.Artifact("data", "dataset")
    end.add_bytes(b"end", "end.txt")
    run.finish_artifact(end, distributed_id="d").wait()
    assert sorted(end.manifest.entries) == ["a.txt", "end.txt"]


def test_a_distributed_version_is_made_of_all_contributions():
    for number in range(2):
        with lineal.init(project="p", group="g") as run:
            part = lineal.Artifact("parts", "dataset")
            with part.new_file(f"{number}.txt") as file:
                file.write(str(number))
            run.upsert_artifact(part)
    with lineal.init(project="p", group="g") as last:
        end = lineal.Artifact("parts", "dataset")
        with end.new_file("end.txt") as file:
            file.write("end")
        finished = last.finish_artifact(end).wait()
    assert sorted(finished.manifest.entries) == ["0.txt", "1.txt", "end.txt"]
    assert finished.version == "v0"


def test_a_distributed_version_needs_an_id_or_a_group(run):
    with pytest.raises(TypeError, match="group"):
        run.upsert_artifact(draft())


def test_tables_and_images_can_be_logged(run):
    numpy = pytest.importorskip("numpy")
    run.log({"t": lineal.Table(columns=["a"], data=[[1], [2]])})
    run.log({"i": lineal.Image(numpy.zeros((4, 4), dtype="uint8"))})
    run.finish()
    assert run.summary["t"]["_type"] == "table-file"
    found = lineal.Api().run(run.path)
    assert any(file.name.startswith("media/images/") for file in found.files())


def log_what_cannot_be_stored(run: lineal.Run) -> None:
    Path("a.txt").write_text("a")
    artifact = lineal.Artifact("lost", "dataset")
    artifact.add_file("a.txt", policy="immutable")
    Path("a.txt").unlink()
    run.log_artifact(artifact)


def test_a_run_uses_what_another_of_the_process_has_just_logged(run):
    lineal.init(mode="disabled", reinit="create_new")
    large = lineal.Artifact("data", "dataset")
    with large.new_file("large.bin", "wb") as file:
        file.write(os.urandom(20_000_000))
    logged = run.log_artifact(large)
    with lineal.init(project="p", reinit="create_new") as other:
        assert other.use_artifact("data:latest").id == logged.wait().id


def test_a_failed_log_blocks_no_later_use_of_the_name(run, capsys, monkeypatch):
    monkeypatch.setattr(run.backend, "check_collection", lambda _: None)  # the other came later
    run.log_artifact(draft(text="0"))
    refused = run.log_artifact(draft(text="1", type="model"))
    with lineal.init(project="q", reinit="create_new") as other:
        other.log_artifact(draft())
    assert run.use_artifact("data:v0").version == "v0"
    assert run.use_artifact("q/data").qualified_name == "ana/q/data:v0"
    assert "What was logged last" not in capsys.readouterr().err
    assert run.use_artifact("data").version == "v0"
    assert "ana/p/data:latest is data:v0. What was logged last as data was not stored" in (
        capsys.readouterr().err
    )
    with pytest.raises(NotFound, match=r"Aliases there: latest.*was not stored.*`dataset`"):
        run.use_artifact("data:v1")
    with pytest.raises(ValueError, match="dataset"):
        refused.wait()
    with pytest.raises(ArtifactsFailed, match="data"):
        run.finish()
    assert lineage(run)[1] == ["data:v0", "data:v0"]


def test_what_was_logged_after_a_failed_log_is_used_without_a_word(run, capsys):
    log_what_cannot_be_stored(run)
    run.log_artifact(draft("lost"))
    assert run.use_artifact("lost:latest").version == "v0"
    assert "What was logged last" not in capsys.readouterr().err
    with pytest.raises(ArtifactsFailed):
        run.finish()


def test_a_failed_block_reports_its_own_exception_and_names_the_artifact(capsys):
    def block() -> None:
        with lineal.init() as run:
            log_what_cannot_be_stored(run)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert "lost" in capsys.readouterr().err


def test_a_block_that_ends_well_raises_for_its_artifacts():
    with pytest.raises(ArtifactsFailed), lineal.init() as run:
        log_what_cannot_be_stored(run)
