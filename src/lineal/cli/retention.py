"""How long things live: `lineal retention …`, `lineal artifact ttl`, `lineal project ttl`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from lineal.cli import completing, output, selection
from lineal.cli.connect import connect, place_of
from lineal.cli.groups import new_group
from lineal.cli.options import Json, MaybeProject, Project, Yes
from lineal.client.artifact import ttl as ttls
from lineal.client.pages import BULK_PAGE_SIZE, SORTED_PAGE_SIZE, all_of
from lineal.core import full_names
from lineal.core.retention import (
    EffectiveTtl,
    Level,
    Policy,
    duration,
    selection_to_json,
)
from lineal.errors import Invalid

app = new_group("Policies that let old versions go; what will expire")
Place = Annotated[
    str,
    typer.Argument(
        metavar="PROJECT|NAME",
        autocompletion=completing.places,
        help="A project, or a collection in it",
    ),
]
Set = Annotated[
    str | None,
    typer.Argument(
        metavar="SET", help="`30d`, `12h`, `P30D`, `none` for never, or `inherit`; without: show it"
    ),
]

# --- time to live -------------------------------------------------------------------------------


def ttl(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=completing.artifacts,
            help="A version (`digits:v3`) or a collection (`digits`)",
        ),
    ],
    set: Set = None,
    json: Json = False,
) -> None:
    """Show or set how long a version, or the versions of a collection, live.

    It counts from the creation of each version. The nearest that says something decides:
    version, collection, project, entity.

    \b
    Examples:
      lineal artifact ttl vision/faces:v3 30d
      lineal artifact ttl vision/faces inherit
    """
    connection = connect()
    path = connection.artifact_path(name)
    if not full_names.names_version(name):
        record = connection.backend.collection(path.entity, path.project, path.name)
        if set is not None:
            record = connection.backend.set_collection_ttl(record.id, _stored(set))
        _print_stored(record.path, record.ttl_seconds, json=json)
        return
    version = connection.backend.version(path)
    if set is not None:
        version = connection.backend.set_version_ttl(version.membership_id, _stored(set))
    found = connection.backend.effective_ttl(version.id)
    if json:
        output.as_json({"name": version.path, **ttl_fields(found)})
        return
    output.data(f"{version.path}: {ttl_words(found)}")


def _stored(text: str) -> int | None:
    word = text.strip().lower()
    if word == "inherit":
        return None
    if word == "none":
        return ttls.stored(None)
    return ttls.stored(text)


def _print_stored(name: str, seconds: int | None, *, json: bool) -> None:
    if json:
        output.as_json({"name": name, "ttl_seconds": seconds})
    elif seconds is None:
        output.data(f"{name}: inherits")
    else:
        output.data(f"{name}: {output.days(seconds) if seconds else 'never expires'}")


def ttl_fields(found: EffectiveTtl) -> dict[str, Any]:
    """Return what `ttl_words` says as JSON has it."""
    return {
        "ttl_seconds": None if found.ttl is None else int(found.ttl.total_seconds()),
        "level": str(found.level),
        "expires_at": found.expires_at,
        "suspended_by": found.suspended_by,
    }


def ttl_words(found: EffectiveTtl) -> str:
    """Return `30 days (project), expires …` or why it does not."""
    if found.ttl is None or found.expires_at is None:
        told = "" if found.level is Level.NONE else f" ({found.level})"
        return f"never expires{told}"
    text = f"{output.days(int(found.ttl.total_seconds()))} ({found.level})"
    if found.suspended_by is not None:
        return f"{text}, suspended by {found.suspended_by}"
    return f"{text}, expires {output.moment(found.expires_at)}"


@app.command("default")
def default(
    set: Set = None,
    entity: Annotated[
        str | None, typer.Option(metavar="ENTITY", help="Whose; default: yours")
    ] = None,
    json: Json = False,
) -> None:
    """Show or set how long versions live where nothing nearer says so: of a whole entity.

    \b
    Example:
      lineal retention default 365d
    """
    connection = connect()
    owner = entity or connection.backend.entity
    if set is not None:
        connection.backend.set_entity_ttl(owner, _stored(set))
    _print_stored(owner, connection.backend.entity_ttl(owner), json=json)


def project_ttl(project: Project, set: Set = None, json: Json = False) -> None:
    """Show or set how long versions of a project live, where nothing nearer says so.

    \b
    Example:
      lineal project ttl vision 90d
    """
    connection = connect()
    entity, name = connection.named_project(project)
    record = connection.backend.project(entity, name)
    if set is not None:
        record = connection.backend.set_project_ttl(entity, name, _stored(set))
    _print_stored(f"{entity}/{name}", record.ttl_seconds, json=json)


def protect(
    project: Project,
    aliases: Annotated[
        list[str] | None, typer.Argument(metavar="ALIAS", help="All that are to be protected")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Protect none")] = False,
    json: Json = False,
) -> None:
    """Show or set the aliases whose versions neither expire nor can be deleted.

    \b
    Example:
      lineal project protect vision production
    """
    if aliases and clear:
        raise Invalid("Say which aliases to protect, or `--clear`; those not named lose protection")
    connection = connect()
    entity, name = connection.named_project(project)
    record = connection.backend.project(entity, name)
    if aliases or clear:
        record = connection.backend.protect_aliases(entity, name, aliases or [])
    if json:
        output.as_json({"name": f"{entity}/{name}", "protected": list(record.protected_aliases)})
        return
    output.data(f"{entity}/{name}: {', '.join(record.protected_aliases) or 'none protected'}")


@app.command()
def expiring(
    project: MaybeProject = None,
    within: Annotated[
        str, typer.Option(metavar="TIME", help="In the next `7d`, `12h` …; days without unit")
    ] = "7d",
    json: Json = False,
) -> None:
    """List what will expire soon, the soonest first; the overdue goes with the next sweep.

    \b
    Example:
      lineal retention expiring vision --within 14d
    """
    connection = connect()
    entity, name = connection.backend.entity, None
    if project is not None:
        entity, name = connection.named_project(project)
    span = duration(within)
    listed = partial(connection.backend.expiring, entity, name, span)
    found = all_of(listed, size=BULK_PAGE_SIZE, size_most=SORTED_PAGE_SIZE)
    if json:
        output.as_json_list(
            {
                "name": each.version.path,
                "size": each.version.size_bytes,
                "expires_at": each.expires_at,
            }
            for each in found
        )
        return
    output.table(
        ("expires", "size", "version"),
        (
            (each.expires_at, output.size(each.version.size_bytes), each.version.path)
            for each in found
        ),
        right=("size",),
        none=f"Nothing expires within {output.days(int(span.total_seconds()))}",
    )


# --- policies -----------------------------------------------------------------------------------


@app.command()
def show(place: Place, json: Json = False) -> None:
    """Show the policy that applies to a project or collection."""
    connection = connect()
    where = place_of(connection, place)
    _print_policy(where, connection.backend.policy(*where), json=json)


@app.command("set")
def set_policy(
    place: Place,
    older_than: selection.OlderThan = None,
    untagged: selection.Untagged = False,
    unaliased: selection.Unaliased = False,
    unused: selection.Unused = False,
    keep_last: selection.KeepLast = None,
    keep_best: selection.KeepBestOf = None,
    by: selection.By = None,
    minimize: selection.Minimize = False,
    type: selection.OfType = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Let every sweep delete the versions for which all the conditions hold.

    Linked versions and those with a protected alias always stay. What the policy would delete
    now is shown first. A collection's policy takes the place of its project's.

    \b
    Example:
      lineal retention set vision/net --keep-last 10 --keep-best 3 --by metadata.accuracy
    """
    chosen = selection.read(
        older_than=older_than,
        untagged=untagged,
        unaliased=unaliased,
        unused=unused,
        keep_last=keep_last,
        keep_best=keep_best,
        by=by,
        minimize=minimize,
        type=type,
    )
    if chosen is None:
        raise Invalid("Say which versions may go, such as `--keep-last 5 --unaliased`")
    connection = connect()
    where = place_of(connection, place)
    if not yes:
        preview = connection.backend.preview(*where, chosen, by_policy=True, with_metadata=False)
        if preview.count and not json:
            selection.print_preview(preview)
        count = output.plural(preview.count, "version")
        output.confirm(f"The next sweep would delete {count}. Set this policy?", yes=False)
    _print_policy(where, connection.backend.set_policy(*where, chosen), json=json)


@app.command()
def clear(place: Place, json: Json = False) -> None:
    """Remove the policy of a project or collection; a collection has its project's then."""
    connection = connect()
    where = place_of(connection, place)
    _print_policy(where, connection.backend.set_policy(*where, None), json=json)


def _print_policy(where: tuple[str, str, str | None], found: Policy, *, json: bool) -> None:
    name = "/".join(part for part in where if part)
    if json:
        document = None if found.selection is None else selection_to_json(found.selection)
        output.as_json({"name": name, "policy": document, "level": str(found.level)})
    elif found.selection is None:
        output.data(f"{name}: no policy, every version stays")
    else:
        level = f" (of its {found.level})" if where[2] and found.level is Level.PROJECT else ""
        output.data(
            f"{name}{level}: every sweep deletes versions {selection.words(found.selection)}"
        )
