"""What notebooks show of what `Api` returns; that a run shows itself is in test_notebook."""

from __future__ import annotations

import lineal
from lineal import Api


def test_a_run_shows_its_name_and_its_summary(api: Api) -> None:
    with lineal.init(project="vision", id="one", name="<first>") as run:
        run.log({"loss": 0.5})
    found = api.run("one")
    shown = found.to_html(height=99)
    assert shown.startswith("<details open><summary>Run ana/vision/one (&lt;first&gt;)")
    assert "<td>loss</td><td>0.5</td>" in shown
    assert "_step" not in shown
    assert "max-height:99px" in shown
    assert found.to_html(hidden=True).startswith("<details>")
    assert found.display() is False  # this is no notebook


def test_a_sweep_and_a_project_show_what_is_known_of_them(api: Api) -> None:
    sweep_id = lineal.sweep(
        {
            "method": "grid",
            "name": "search",
            "metric": {"name": "loss"},
            "parameters": {"x": {"values": [1]}},
        },
        project="vision",
    )

    def train() -> None:
        with lineal.init() as run:
            run.log({"loss": run.config.x})
            run.log_artifact(lineal.Artifact("data", "dataset"))

    lineal.agent(sweep_id, train, project="vision")
    sweep = api.sweep(sweep_id)
    shown = sweep.to_html()
    best = sweep.best_run()
    assert best is not None
    assert f"Sweep ana/vision/{sweep_id} (search)" in shown
    assert f"<td>best run</td><td>{best.id}</td>" in shown
    project = api.project("vision")
    assert "<td>artifacts</td><td>dataset</td>" in project.to_html()
    assert (sweep.display(), project.display(hidden=True)) == (False, False)
