"""`lineal sweep …` and `lineal agent`: make sweeps, work for them, see how they go."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any

import typer

from lineal.cli import completing, describe, folding, output, sweep_page
from lineal.cli.connect import Connection, connect, newest_first
from lineal.cli.groups import Group, new_group
from lineal.cli.options import Json, MaybeProject
from lineal.client.pages import all_of
from lineal.client.run.config_files import read_yaml
from lineal.client.sweep import agent as agents
from lineal.client.sweep import sweep as sweeps
from lineal.config import load
from lineal.core.records import RunQuery
from lineal.core.sweeps import plan
from lineal.core.trials import SweepQuery, SweepRecord, SweepState, TrialRecord, parameters_text
from lineal.errors import Invalid, MissingFile, TrialsFailed
from lineal.nearest import nearest

TRIALS_SHOWN = 20


class _CreatesByDefault(Group):
    """Lets `lineal sweep FILE` mean `lineal sweep create FILE`, as W&B's command does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = self.list_commands(ctx)
        if args and args[0] not in (*known, "-h", "--help") and not _is_slip(args[0], known):
            args = ["create", *args]
        found: list[str] = super().parse_args(ctx, args)
        return found


def _is_slip(word: str, commands: list[str]) -> bool:
    """Say whether a word is rather a command misspelt than a file: then its name is suggested."""
    if word.startswith("-") or os.path.exists(word):
        return False
    return bool(nearest(word, commands, cutoff=0.7))


app = new_group(
    "Search hyperparameters: `lineal sweep FILE.yaml` makes a sweep, `lineal agent` does it",
    cls=_CreatesByDefault,
)

Path = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP", autocompletion=completing.sweeps, help="`[[entity/]project/]sweep_id`"
    ),
]
Entity = Annotated[
    str | None, typer.Option("--entity", "-e", metavar="ENTITY", help="Default: yours")
]
Project = Annotated[
    str | None,
    typer.Option(
        "--project", "-p", metavar="PROJECT", help="Default: that of the file, or of this folder"
    ),
]


@app.command()
def create(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="YAML; with --stop and the like: a sweep")
    ],
    project: Project = None,
    entity: Entity = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead of the file's `name`")
    ] = None,
    prior_run: Annotated[
        list[str] | None,
        typer.Option(
            "--prior-run",
            "--prior_run",
            "-R",
            metavar="RUN",
            help="Run whose result the search begins with; repeatable",
        ),
    ] = None,
    pause: Annotated[bool, typer.Option("--pause", help="Same as `lineal sweep pause`")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Same as `lineal sweep resume`")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Same as `lineal sweep stop`")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Same as `lineal sweep cancel`")] = False,
    update: Annotated[
        str | None,
        typer.Option(metavar="SWEEP", help="Give FILE to this sweep, which has no trials yet"),
    ] = None,
    json: Json = False,
) -> None:
    """Make a sweep from a YAML file; prints its path, which `lineal agent` takes.

    \b
    Examples:
      lineal sweep sweep.yaml --project vision
      lineal sweep --stop vision/k3x9a1bq
    """
    wanted = [
        state
        for state, is_said in (
            (SweepState.PAUSED, pause),
            (SweepState.RUNNING, resume),
            (SweepState.STOPPED, stop),
            (SweepState.CANCELLED, cancel),
        )
        if is_said
    ]
    if len(wanted) > 1:
        raise Invalid("Say one of --pause, --resume, --stop and --cancel")
    if wanted:
        if name is not None or prior_run or update is not None:
            raise Invalid(
                "--pause, --resume, --stop and --cancel change the state of a sweep and nothing "
                "else; leave out --name, --prior-run and --update"
            )
        changed = _change(file, wanted[0], entity=entity, project=project)
        if json:
            output.as_json(describe.sweep(changed))
        return
    if not os.path.exists(file):
        raise MissingFile(
            f"Nothing is at {file}; name the YAML file of a new sweep, or say what to do with one, "
            "such as `lineal sweep show SWEEP`"
        )
    document = read_yaml(file)
    if name is not None:
        document["name"] = name
    if update is not None:
        if prior_run or project or entity:
            raise Invalid("`--update` changes what a sweep does, not where it is or began")
        backend, known = sweeps.find(connect().settings, update)
        record = backend.update_sweep(known.key, sweeps.as_document(document))
        output.note(f"Sweep {record.path} was changed")
    else:
        record = sweeps.create(document, entity=entity, project=project, prior_runs=prior_run)
    if json:
        output.as_json(describe.sweep(record))
    else:
        output.data(record.path)
        if context.find_root().info_name == "wandb" and update is None:
            # scripts take these lines apart
            output.note(f"Creating sweep with ID: {record.sweep_id}")
            output.note(f"Run sweep agent with: wandb agent {shlex.quote(record.path)}")


@app.command()
def ls(
    project: MaybeProject = None,
    json: Json = False,
) -> None:
    """List sweeps, the newest first."""
    connection = connect()
    found = _sweeps(connection, project)
    if json:
        output.as_json_list(describe.sweep(record) for record in found)
        return
    output.table(
        ("sweep", "name", "method", "state", "trials", "best", "created"),
        (
            (
                f"{record.project}/{record.sweep_id}",
                record.name,
                record.document.get("method"),
                record.state,
                sum(record.trial_counts.values()),
                record.best_value,
                record.created_at,
            )
            for record in found
        ),
        right=("trials", "best"),
        none=f"No sweeps {connection.where(project)} yet; `lineal sweep FILE.yaml` makes one",
    )


def _sweeps(connection: Connection, project: str | None) -> Iterable[SweepRecord]:
    queries = [SweepQuery(*place) for place in connection.places(project)]
    return newest_first(all_of(partial(connection.backend.sweeps, query)) for query in queries)


@app.command()
def show(
    sweep: Path,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a page with pictures there")
    ] = None,
    json: Json = False,
) -> None:
    """Show one sweep: its trials, the best first, and which parameters matter.

    \b
    Example:
      lineal sweep show vision/k3x9a1bq --html sweep.html
    """
    connection = connect()
    backend, record = sweeps.find(connection.settings, sweep)
    trials = sweeps.all_trials(backend, record)
    importance = backend.sweep_importance(record.key)
    if html is not None:
        runs = {
            run.run_id: run
            for run in all_of(
                partial(
                    backend.runs,
                    RunQuery(record.entity, record.project, filters={"sweep": record.sweep_id}),
                )
            )
        }
        sweep_page.write(html, record, _best_first(record, trials), runs, importance)
        output.note(f"Wrote {html}")
    if json:
        output.as_json(
            describe.sweep(record)
            | {"importance": importance, "trials": [describe.trial(trial) for trial in trials]}
        )
    elif html is None:
        _print_sweep(record, trials, importance)


def _print_sweep(
    record: SweepRecord, trials: list[TrialRecord], importance: dict[str, float]
) -> None:
    metric = plan(record.document).metric
    counts = ", ".join(f"{count} {state}" for state, count in record.trial_counts.items())
    output.fields(
        [
            ("sweep", record.path),
            ("name", record.name),
            ("method", record.document.get("method")),
            ("state", str(record.state)),
            ("metric", f"{metric.goal} {metric.name}" if metric else None),
            ("trials", counts or "none yet"),
            ("best", record.best_value),
            ("best run", record.best_run_id),
            ("created", record.created_at),
        ]
    )
    if importance:
        output.heading("which parameters matter")
        widest = max(folding.columns_of(output.cell(name)) for name in importance)
        for name, share in importance.items():
            told = f"{folding.padded(output.cell(name), widest)}  {share:5.1%}  "
            room = output.drawing_width(folding.columns_of(told))
            output.data(f"{told}{'█' * round(share * room)}")
    shown = _best_first(record, trials)[:TRIALS_SHOWN]
    if shown:
        output.heading("trials, the best first")
        output.table(
            ("trial", "run", "state", metric.name if metric else "value", "parameters"),
            (
                (
                    trial.number if not trial.is_prior else "before",
                    trial.run_id,
                    trial.state,
                    trial.value,
                    parameters_text(trial.parameters),
                )
                for trial in shown
            ),
            right=("trial",),
        )
    if len(trials) > len(shown):
        output.note(f"Only {len(shown)} of {len(trials):,} trials; --json lists all")


def _best_first(record: SweepRecord, trials: list[TrialRecord]) -> list[TrialRecord]:
    """Order trials by their results, of equals the earlier first; those without any come last."""
    metric = plan(record.document).metric
    sign = metric.sign if metric else 1
    return sorted(
        trials,
        key=lambda trial: (trial.value is None, (trial.value or 0.0) * sign, trial.number),
    )


@app.command()
def pause(sweep: Path) -> None:
    """Hand out no new trials until `resume`."""
    _change(sweep, SweepState.PAUSED)


@app.command()
def resume(sweep: Path) -> None:
    """Go on with a paused or stopped sweep."""
    _change(sweep, SweepState.RUNNING)


@app.command()
def stop(sweep: Path) -> None:
    """Hand out no more trials; those that run may finish."""
    _change(sweep, SweepState.STOPPED)


@app.command()
def cancel(sweep: Path) -> None:
    """Hand out no more trials, and stop those that run."""
    _change(sweep, SweepState.CANCELLED)


def _change(
    sweep: str, state: SweepState, *, entity: str | None = None, project: str | None = None
) -> SweepRecord:
    settings = load({"entity": entity, "project": project})
    backend, record = sweeps.find(settings, sweep, project=project)
    changed = backend.set_sweep_state(record.key, state)
    output.note(f"Sweep {changed.path} is {changed.state}")
    return changed


def agent(
    sweep: Path,
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Trials at most; default: all")
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--project", "-p", metavar="PROJECT", help="Of an id alone; default: any that has it"
        ),
    ] = None,
    entity: Entity = None,
    forward_signals: Annotated[
        bool,
        typer.Option(
            "--forward-signals",
            "-f",
            help="Pass Ctrl-C and SIGTERM on to the program, and end after it",
        ),
    ] = False,
    term_timeout: Annotated[
        float | None,
        typer.Option(
            "--term-timeout",
            "-t",
            metavar="SECONDS",
            min=0,
            help="Kill a program that a signal passed on has not ended by then; default: wait",
        ),
    ] = None,
) -> None:
    """Carry out trials of a sweep by starting its program, until there are none left.

    Start as many agents as you like, on one machine or many. Fails if all its trials did.

    \b
    Example:
      lineal agent vision/k3x9a1bq --count 10
    """
    settings = load({"entity": entity, "project": project})
    done = agents.carry_out(
        settings,
        sweep,
        project=project,
        count=count,
        forward_signals=forward_signals,
        term_timeout=term_timeout,
    )
    if not done.count:
        output.note(
            f"No trial was left to carry out; `lineal sweep show {shlex.quote(sweep)}` lists them"
        )
    if done.failed == done.count > 0:
        trials = output.plural(done.count, "trial")
        raise TrialsFailed(
            f"{trials} carried out, all failed; `lineal sweep show {shlex.quote(sweep)}` lists them"
        )


def controller(
    sweep: Annotated[
        str, typer.Argument(metavar="SWEEP|FILE", help="A sweep, or the YAML file of a new one")
    ],
) -> None:
    """Watch a sweep until it is over, printing its state; agents search by themselves."""
    if sweep.endswith((".yaml", ".yml")) and not os.path.exists(sweep):
        raise MissingFile(f"Nothing is at {sweep}; name the YAML file of a new sweep, or a sweep")
    sweeps.controller(read_yaml(sweep) if os.path.isfile(sweep) else sweep).run()
