"""Config files: YAML, as W&B's programs have it (RUN-21, RUN-24)."""

from __future__ import annotations

import os
import re
from typing import Any

from lineal.core.file_paths import local_path
from lineal.errors import Invalid, MissingFile
from lineal.files.refusals import unreadable

DEFAULTS_FILE = "config-defaults.yaml"
MERGE_KEY = "<<"
"""What YAML 1.1 takes for the keys of another mapping; several add up."""
VALUES_MOST = 1_000_000
"""In one file, counted as often as aliases name them: a few lines can stand for billions."""
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")


def read_yaml(path: str) -> dict[str, Any]:
    """Read a YAML mapping; W&B's spelling `key: {desc: …, value: …}` gives the value.

    `1e-5` is a number. Raises Invalid for a key that is there twice, of which one would be lost,
    for aliases that stand for too much, and for what no file can be called.
    """
    import yaml  # 15 ms, and few runs have such a file

    loader = _checking(with_all_numbers(yaml.SafeLoader))
    try:
        with open(local_path(path), encoding="utf-8") as file:
            content = yaml.load(file, loader)  # noqa: S506 - it is a SafeLoader
    except FileNotFoundError as error:
        raise MissingFile(f"Config file {path} does not exist") from error
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise Invalid(
            f"Config file {path} is not UTF-8 ({error.reason} {error.object[error.start]:#x}); "
            "save it as UTF-8"
        ) from error
    except yaml.YAMLError as error:
        raise Invalid(f"Config file {path} is not YAML: {error}") from error
    except RecursionError as error:
        raise Invalid(f"Config file {path} is nested too deep") from error
    if content is None:
        return {}
    if _count(content, {}) > VALUES_MOST:
        raise _too_many(path)
    if not isinstance(content, dict):
        raise Invalid(f"Config file {path} must hold a mapping of keys to values")
    content.pop("wandb_version", None)
    return {str(key): _yaml_value(value) for key, value in content.items()}


def with_all_numbers(base: type) -> Any:
    """Return PyYAML's loader or dumper with `1e-5` a number, as in YAML 1.2, JSON and Python.

    To PyYAML, which follows YAML 1.1, it is a text for want of a dot.
    """
    made: Any = type("AllNumbers", (base,), {})
    made.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))
    return made


def _checking(base: Any) -> Any:
    """Return PyYAML's loader refusing equal keys, of which it takes the last, and endless merges.

    What `<<` names is copied again for each time that it is named.
    """

    def mapping(loader: Any, anchor: str | None) -> Any:
        node = base.compose_mapping_node(loader, anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key.value, str) or key.value == MERGE_KEY:
                continue
            place, name = key.start_mark, (key.tag, key.value)
            if name in lines:
                raise Invalid(
                    f"Config file {place.name} has the key `{key.value}` twice, in line "
                    f"{lines[name]} and in line {place.line + 1}; leave one of them out"
                )
            lines[name] = place.line + 1
        return node

    def merged(loader: Any, node: Any) -> None:
        base.flatten_mapping(loader, node)
        if len(node.value) > VALUES_MOST:
            raise _too_many(node.start_mark.name)

    return type("Checking", (base,), {"compose_mapping_node": mapping, "flatten_mapping": merged})


def _too_many(path: str) -> Invalid:
    return Invalid(
        f"Config file {path} stands for more than {VALUES_MOST:,} values, by aliases of aliases; "
        "write out what is meant"
    )


def _count(value: Any, known: dict[int, int]) -> int:
    """Return how many values one stands for; known: of those that were counted, by their `id`.

    What holds itself is not counted there: whoever copies it says what is wrong.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = 0
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(item, known) for item in items)
    return known[id(value)]


def _yaml_value(value: Any) -> Any:
    if isinstance(value, dict) and "value" in value and set(value) <= {"value", "desc"}:
        return value["value"]
    return value


def defaults(paths: tuple[str, ...]) -> dict[str, Any]:
    """Return what `config-defaults.yaml` here and the files of `config_paths` say (RUN-24)."""
    values: dict[str, Any] = {}
    if os.path.exists(DEFAULTS_FILE):
        values.update(read_yaml(DEFAULTS_FILE))
    for path in paths:
        values.update(read_yaml(path))
    return values
