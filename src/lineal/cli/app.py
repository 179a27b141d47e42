"""The `lineal` command: its groups, and the one place that turns errors into exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from lineal.cli import (
    INTERRUPTED_EXIT_CODE,
    artifact,
    artifact_bundle,
    artifact_cache,
    artifact_diff,
    artifact_labels,
    artifact_listing,
    as_wandb,
    deletions,
    demo,
    doctor,
    folder,
    gc,
    lineage,
    login,
    output,
    project,
    ref,
    restore_code,
    retention,
    run,
    run_diff,
    run_files,
    run_history,
    run_move,
    status,
    storage,
    sweep,
    sync,
    verify,
)
from lineal.cli.groups import ARTIFACTS, HERE, RUNS, SPACE, SWEEPS, Group, narrowed
from lineal.config import working_folder
from lineal.errors import LinealError
from lineal.leaving import left_at_exit

BROKEN_PIPE_EXIT_CODE = 141
"""What a shell reports for a process that SIGPIPE ended."""

app = typer.Typer(
    cls=Group,
    name="lineal",
    help="Versioned artifacts with lineage for machine-learning work: no server, no account",
    epilog="Start with `lineal demo`; where your data is: `lineal status`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # errors are one line; `--debug` shows the traceback
    rich_markup_mode=None,  # plain help: readable anywhere, and starts twice as fast
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        status.version()
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of errors; also LINEAL_DEBUG=1")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Same as `version`"),
    ] = False,
) -> None:
    if debug:
        os.environ["LINEAL_DEBUG"] = "1"


for name, group, subject in (
    ("artifact", artifact.app, ARTIFACTS),
    ("ref", ref.app, ARTIFACTS),
    ("run", run.app, RUNS),
    ("sweep", sweep.app, SWEEPS),
    ("project", project.app, SPACE),
    ("retention", retention.app, SPACE),
):
    app.add_typer(group, name=name, rich_help_panel=subject)
artifact.app.add_typer(artifact_cache.app, name="cache")
app.command("lineage", rich_help_panel=ARTIFACTS)(lineage.lineage)
app.command("sync", rich_help_panel=RUNS)(sync.sync)
app.command("pull", rich_help_panel=RUNS)(run_files.pull)
app.command("restore", rich_help_panel=RUNS)(restore_code.restore)
app.command("as-wandb", rich_help_panel=RUNS, context_settings={"allow_interspersed_args": False})(
    as_wandb.as_wandb
)
app.command("agent", rich_help_panel=SWEEPS)(sweep.agent)
app.command("controller", rich_help_panel=SWEEPS)(sweep.controller)
app.command("storage", rich_help_panel=SPACE)(storage.storage)
app.command("gc", rich_help_panel=SPACE)(gc.gc)
app.command("deletions", rich_help_panel=SPACE)(deletions.deletions)
app.command("verify", rich_help_panel=SPACE)(verify.verify)
app.command("demo", rich_help_panel=HERE)(demo.demo)
app.command("status", rich_help_panel=HERE)(status.status)
app.command("doctor", rich_help_panel=HERE)(doctor.doctor)
app.command("init", rich_help_panel=HERE)(folder.init)
app.command("online", rich_help_panel=HERE)(folder.online)
app.command("offline", rich_help_panel=HERE)(folder.offline)
app.command("enabled", rich_help_panel=HERE)(folder.enabled)
app.command("disabled", rich_help_panel=HERE)(folder.disabled)
app.command("login", rich_help_panel=HERE, context_settings=login.ANY_WORDS)(login.login)
app.command("purge-cache", rich_help_panel=HERE)(artifact_cache.purge_cache)
app.command("version", rich_help_panel=HERE)(status.version)
for name, function in (
    ("ls", artifact_listing.ls),
    ("show", artifact_listing.show),
    ("diff", artifact_diff.diff),
    ("alias", artifact_labels.alias),
    ("tag", artifact_labels.tag),
    ("display-name", artifact_labels.display_name),
    ("link", artifact_labels.link),
    ("rm", deletions.rm),
    ("restore", deletions.restore),
    ("export", artifact_bundle.export),
    ("import", artifact_bundle.import_),
    ("ttl", retention.ttl),
):
    artifact.app.command(name)(function)
run.app.command("ls")(run.ls)
run.app.command("show")(run.show)
run.app.command("history")(run_history.history)
run.app.command("files")(run_files.files)
run.app.command("log")(run.log)
run.app.command("rm")(run.rm)
run.app.command("restore")(run.restore)
run.app.command("diff")(run_diff.diff)
run.app.command("mv")(run_move.mv)
project.app.command("ttl")(retention.project_ttl)
project.app.command("protect")(retention.protect)


def main(arguments: Sequence[str] | None = None, *, name: str = "lineal") -> None:
    """Run one command and exit with the code of what happened; `name` is that of the program."""
    output.prepare()
    left_at_exit(is_ours=True)
    code = execute(sys.argv[1:] if arguments is None else arguments, name=name)
    output.flush_notes()
    sys.exit(code)


def execute(arguments: Sequence[str], *, name: str = "lineal") -> int:
    """Run one command; returns its exit code, having printed the error if there was one."""
    command = typer.main.get_command(narrowed(app, arguments))
    try:
        result = command.main(args=list(arguments), prog_name=name, standalone_mode=False)
        output.flush()
    except typer.TyperException as error:
        return _wrong_usage(error)
    except typer.Abort as error:
        output.note("Nothing was done")
        return INTERRUPTED_EXIT_CODE if isinstance(error.__context__, KeyboardInterrupt) else 1
    except BrokenPipeError:
        return _nobody_reads()
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # Typer turns it into its own exit
            return _nobody_reads()
        raise
    except Exception as error:  # noqa: BLE001 - the edge: whatever it was, say it in one line
        return _failed(error)
    return result if isinstance(result, int) else 0


def _wrong_usage(error: typer.TyperException) -> int:
    """Print what is wrong with the words given; a bare group prints its help instead."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        output.data(context.get_help() if context else str(error))
        return 0
    # what checks values says so first, and some sentences end with a full stop
    said = error.format_message().replace("Value error, ", "").removesuffix(".")
    output.note(f"error: {said}")
    if context is not None:
        output.note(f"Try `{context.command_path} --help`")
    return error.exit_code


def _nobody_reads() -> int:
    """Whoever read our output has had enough; let Python's own flush at exit fail in silence."""
    output.forget(sys.stdout)
    return BROKEN_PIPE_EXIT_CODE


def _failed(error: Exception) -> int:
    is_debugging = os.environ.get("LINEAL_DEBUG", "") not in ("", "0")
    if is_debugging:
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        error = output.unwritable(error)  # it is of help, which Typer prints
    elif isinstance(error, OSError):
        try:
            working_folder()
        except LinealError as gone:  # then no path can be made absolute
            error = gone
    if isinstance(error, LinealError):
        output.note(f"error: {error.message}")
        return error.exit_code
    output.note(f"error: {type(error).__name__}: {error}")
    if not is_debugging and not isinstance(error, OSError):
        output.note("That was not foreseen; `lineal --debug …` shows where it happened")
    return 1
