"""The alias that a sweep keeps on its best version (SWP-12)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lineal.core.full_names import ArtifactPath
from lineal.core.records import PageRequest, RunSpec, VersionQuery, VersionRecord
from lineal.errors import NotFound
from lineal.service import artifacts, catalog, runs
from lineal.service.instance import Instance
from tests.service.drafts import draft, log, send
from tests.service.sweep.conftest import OWNER, RANDOM, ask, done, join, make, run_of


def test_the_alias_follows_the_best_version_whatever_the_order(
    instance: Instance, tmp_path: Path
) -> None:
    document = RANDOM | {"metric": {"name": "acc", "goal": "maximize"}, "best_alias": True}
    sweep = make(instance, document)
    agent = join(instance, sweep)
    expected = []
    best = -1.0
    for number, acc in enumerate((0.3, 0.9, 0.5, 0.95, 0.1)):
        answer = ask(instance, sweep, agent)
        key = run_of(instance, answer, sweep)
        files = {"model": b"%d" % number}
        spec, segments = draft(files, collection=f"m{number % 2}", type="model", project="p")
        begun = artifacts.begin(instance, OWNER, spec._replace(run=key), segments)
        send(instance, OWNER, begun.draft, files, tmp_path)
        version = artifacts.commit(instance, OWNER, begun.draft).version
        assert version is not None
        done(instance, answer, sweep, agent, acc=acc)
        if acc > best:
            best, expected = acc, [version.id]
        aliased = [
            found.id
            for name in ("m0", "m1")
            for found in _versions(instance, name)
            if "best" in found.aliases
        ]
        assert aliased == expected


def test_the_alias_stays_where_the_sweep_did_not_put_it(instance: Instance, tmp_path: Path) -> None:
    def logged(project: str, name: str, run: int, *aliases: str) -> VersionRecord:
        return log(
            instance, OWNER, tmp_path, {"model": name.encode()},
            project=project, collection=name, type="model", run=run, aliases=aliases,
        )  # fmt: skip

    for project in ("p", "other"):
        spec = RunSpec("ana", project, "baseline", config={"lr": 0.5, "net": {"k": 3}})
        key = runs.start(instance, OWNER, spec).run.key
        logged(project, f"{project}-model", key, "best")
        runs.finish(instance, OWNER, key, 0, 1.0)
    document = RANDOM | {"best_alias": True}
    sweep = make(instance, document, prior_runs=("baseline",))
    agent = join(instance, sweep)
    worse, better = ask(instance, sweep, agent), ask(instance, sweep, agent)
    version = logged("p", "worse", run_of(instance, worse, sweep))
    portfolio = ArtifactPath("ana", "registry", "models", "latest")
    catalog.link_version(instance, OWNER, version.id, portfolio, ["best"])
    done(instance, worse, sweep, agent, loss=0.9)
    assert "best" in _versions(instance, "worse")[0].aliases
    logged("p", "better", run_of(instance, better, sweep))
    done(instance, better, sweep, agent, loss=0.1)
    best = {
        f"{project}/{name}"
        for project, name in (
            ("p", "p-model"), ("other", "other-model"), ("p", "worse"), ("p", "better"),
            ("registry", "models"),
        )
        if "best" in _versions(instance, name, project)[0].aliases
    }  # fmt: skip
    assert best == {"other/other-model", "registry/models", "p/better"}


def _versions(instance: Instance, name: str, project: str = "p") -> list[Any]:
    try:
        page = catalog.versions(instance, OWNER, VersionQuery("ana", project, name), PageRequest())
    except NotFound:
        return []
    return list(page.items)
