"""`run.config`: the inputs of a run (RUN-21…RUN-24)."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping
from contextlib import suppress
from typing import Any

from lineal.client import term
from lineal.client.run.config_files import read_yaml
from lineal.client.run.lent import Lent
from lineal.client.values import NESTING_MAX, fields_of, full_name, is_media, kind_of, plain, text
from lineal.core.full_names import ARTIFACT_SCHEMES
from lineal.core.names import OWN_KEY, strings
from lineal.errors import Invalid, UsageError
from lineal.nearest import did_you_mean

TEXT_MAX_CHARACTERS = 1_000
"""Kept of what an object prints as."""
LOCKED = "Config `{}` was set by the sweep or launcher; this change is ignored"

ArtifactResolver = Callable[[str, Any], Any]
"""Given a key and an artifact or its path: record it as used, return the Artifact (RUN-23)."""


class RunConfig:
    """Works like a dict and by attributes; what changes is sent to the backend by the run.

    So is what is set in a dict or list that it holds: `config["model"]["depth"] = 3`.
    """

    _items: dict[str, Any]
    """Of that name since transformers' search by sweeps takes a trial from `vars(config)`."""
    _shown: dict[str, Any]
    _lent: dict[str, Lent]
    _locked: set[str]
    _changed: set[str]

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        allow_changes: bool = False,
        resolver: ArtifactResolver | None = None,
        check: Callable[[], None] | None = None,
        noted: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """values: JSON already. check: called before a change; raises once the run is over.

        noted: given every change, so that it survives the process, as `{"config": {key: value}}`.
        """
        settings: dict[str, Any] = {
            "_items": dict(values or {}),
            "_shown": {},
            "_lent": {},
            "_locked": set(),
            "_changed": set(),
            "_allow_changes": allow_changes,
            "_resolver": resolver,
            "_check": check or (lambda: None),
            "_noted": noted or (lambda _: None),
            "_lock": threading.RLock(),
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    # --- reading ---

    def __getitem__(self, key: str) -> Any:
        key = clean_key(key)
        if key in self._shown:
            return self._shown[key]
        value = self._items[key]
        return self._lend(key) if isinstance(value, (dict, list)) else value

    def _lend(self, key: str) -> Any:
        with self._lock:
            lent = self._lent.get(key)
            if lent is None or lent.stored is not self._items[key]:
                lent = self._lent[key] = Lent.of(self._items[key])
            return lent.shown

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        if key == "values" and key not in self:  # that of a dict, which W&B's config lacks
            return self._public().values
        try:
            return self[key]
        except KeyError:
            raise AttributeError(
                f"The config has no key {key!r}{did_you_mean(key, self.keys())}"
            ) from None

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and clean_key(key) in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> KeysView[str]:
        return self._public().keys()

    def items(self) -> ItemsView[str, Any]:
        return self._public().items()

    def as_dict(self) -> dict[str, Any]:
        """Return a copy as plain values, without Lineal's own key."""
        with self._lock:
            values = {**self._items, **self._set_inside(self._lent)}
        return {key: copy.deepcopy(value) for key, value in values.items() if key != OWN_KEY}

    _as_dict = as_dict
    """As many scripts for W&B ask for it."""

    def __repr__(self) -> str:
        return repr(self._public())

    def __reduce__(self) -> tuple[Callable[..., RunConfig], tuple[dict[str, Any]]]:
        return _of_its_own, (self.as_dict(),)

    def _public(self) -> dict[str, Any]:
        return {key: self[key] for key in list(self._items) if not key.startswith("_")}

    # --- changing ---

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __setattr__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        raise Invalid(f"Config keys cannot be removed; set `{key}` to None instead")

    def __delattr__(self, key: str) -> None:
        del self[key]

    def update(self, d: Any, allow_val_change: bool | None = None) -> None:
        """Set keys from `d`: a dict, a namespace, flags or the path of a YAML file.

        All of them or, where one is refused, none. Raises Invalid (a ValueError) for a new value
        of an existing key unless allowed (RUN-22), TypeError for media and values that are not
        JSON.
        """
        self._check()
        allow = self._allow_changes if allow_val_change is None else allow_val_change
        with self._lock:
            given = read_config(d)
            self._settle([clean_key(key) for key in given])
            self._put(self._accepted(self._unlocked(given), allow=allow))

    def setdefaults(self, d: Any) -> None:
        """Set only the keys that are not there yet; d: as of `update`."""
        given = read_config(d)
        self.update({key: value for key, value in given.items() if key not in self})

    def _lock_to(self, values: Mapping[str, Any]) -> None:
        """Set keys that later writes by the user do not change: a sweep has chosen them."""
        with self._lock:
            accepted = self._accepted(read_config(values), allow=True)
            self._put(accepted)
            self._locked.update(accepted)

    def _unlocked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = {clean_key(key): value for key, value in values.items()}
        for key in cleaned.keys() & self._locked:
            term.warning(LOCKED.format(key))
        return {key: value for key, value in values.items() if clean_key(key) not in self._locked}

    def _accepted(self, values: Mapping[str, Any], *, allow: bool) -> dict[str, tuple[Any, Any]]:
        """Return what `_stored` makes of each value; changes nothing, so that all may be refused.

        Artifacts come last: to look one up records that it is used.
        """
        accepted: dict[str, tuple[Any, Any]] = {}
        for given, value in sorted(values.items(), key=lambda item: is_artifact(item[1])):
            key = clean_key(given)
            shown, stored = self._stored(key, value)
            before = accepted[key][1] if key in accepted else self._items.get(key, stored)
            if not _equal(before, stored) and not allow:
                raise Invalid(
                    f"Config `{key}` is {before!r} and would become {stored!r}; pass "
                    "allow_val_change=True to init or config.update to allow that"
                )
            accepted[key] = shown, stored
        return {key: accepted[key] for key in map(clean_key, values)}

    def _put(self, accepted: Mapping[str, tuple[Any, Any]]) -> None:
        for key, (shown, _) in accepted.items():
            if shown is None:
                self._shown.pop(key, None)
            else:
                self._shown[key] = shown
        if accepted:
            self._change({key: stored for key, (_, stored) in accepted.items()})

    def _change(self, stored: Mapping[str, Any]) -> None:
        self._items.update(stored)
        self._changed.update(stored)
        self._noted({"config": stored})

    def _settle(self, keys: Iterable[str]) -> None:
        """Record what was set in the dicts and lists that were handed out under these keys."""
        with self._lock:
            changed = self._set_inside(keys)
            if changed:
                self._change(changed)
            for key, now in changed.items():
                self._lent[key] = Lent.of(now, self._lent[key].shown)

    def _set_inside(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the dicts and lists in which something was set, as they are to be stored."""
        changed: dict[str, Any] = {}
        for key in list(keys):
            lent = self._lent.get(key)
            if lent is None:
                continue
            if lent.stored is not self._items[key]:  # another value was set since
                del self._lent[key]
                continue
            try:
                now = lent.now()
                if _is_same(lent.stored, now):  # soon seen, where making JSON takes long
                    continue
                now = _as_json(key, now)
            except RuntimeError:  # another thread is just setting something there
                continue
            except (Invalid, TypeError) as error:
                term.warn_once(f"What was set in config `{key}` is not recorded: {error}")
                continue
            if _equal(lent.stored, now):
                continue
            if key in self._locked:
                term.warning(LOCKED.format(key))
                del self._lent[key]
                continue
            changed[key] = now
        return changed

    def _stored(self, key: str, value: Any) -> tuple[Any, Any]:
        """Return (what the user reads, None for the same; what is kept as JSON)."""
        if is_artifact(value):
            if self._resolver is None:
                return None, value
            artifact = self._resolver(key, value)
            return artifact, artifact.json_encode()
        if is_media(value):
            raise TypeError(f"Config `{key}` cannot hold a {type(value).__name__}; use `run.log`")
        return None, _as_json(key, value)

    # --- for the run ---

    def _after_fork(self) -> None:
        object.__setattr__(self, "_lock", threading.RLock())

    def _own(self, **values: Any) -> None:
        """Note something of Lineal's own."""
        with self._lock:
            own = self._items.get(OWN_KEY)
            self._change({OWN_KEY: {**(own if isinstance(own, dict) else {}), **values}})

    def _take_changes(self) -> dict[str, Any]:
        with self._lock:
            self._settle(self._lent)
            changed = {key: value for key, value in self._items.items() if key in self._changed}
            self._changed.clear()
        return changed

    def _put_back(self, changed: Mapping[str, Any]) -> None:
        with self._lock:
            self._changed.update(changed)


def _of_its_own(values: Mapping[str, Any]) -> RunConfig:
    """Return a copy of a config, in another process perhaps: what is set in it concerns no run."""
    return RunConfig(values, allow_changes=True)


def clean_key(key: str) -> str:
    """Strip dashes around a key: `--lr` becomes `lr` (RUN-24)."""
    if not isinstance(key, str):
        raise TypeError(f"Config keys must be strings, not {key!r}")
    return text(key).strip("-")


def read_config(source: Any) -> dict[str, Any]:
    """Return a dict from a dict, argparse namespace, absl flags or YAML path (RUN-21)."""
    if source is None:
        return {}
    if isinstance(source, (str, os.PathLike)):
        return read_yaml(os.fspath(source))
    if isinstance(source, RunConfig):
        return source.as_dict()
    fields = fields_of(source)
    if fields is not None:
        return dict(fields)
    if callable(getattr(source, "flag_values_dict", None)):
        return dict(source.flag_values_dict())
    try:  # a class, too, has more than what was written into it
        return {key: value for key, value in vars(source).items() if not _is_pythons_own(key)}
    except TypeError:
        raise TypeError(
            f"config takes a dict, a namespace, flags or a YAML path, not a {type(source).__name__}"
        ) from None


def _is_pythons_own(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def parse_config(params: Any, exclude: Any = None, include: Any = None) -> dict[str, Any]:
    """Read a config as `init` does, and keep some of its keys: `wandb.helper.parse_config`."""
    return chosen(read_config(params), include, exclude)


def chosen(values: dict[str, Any], include: Any = None, exclude: Any = None) -> dict[str, Any]:
    """Keep the keys in `include`, or all but those in `exclude`, with dashes around them or not."""
    if include and exclude:
        raise UsageError("Give config_include_keys or config_exclude_keys, not both")
    named = {clean_key(key) for key in strings(include or exclude or (), "Config keys")}
    is_wanted = bool(include)
    return {
        key: value
        for key, value in values.items()
        if not named or (clean_key(key) in named) is is_wanted
    }


def with_defaults(
    values: Mapping[str, Any], defaults: Mapping[str, Any], before: Iterable[str] = ()
) -> dict[str, Any]:
    """Add what is given by default; before: keys of a run that goes on, which knows better."""
    known = {*before, *map(clean_key, values)}
    lacking = {key: value for key, value in defaults.items() if clean_key(key) not in known}
    return {**lacking, **values}


def split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (JSON values, artifacts): the latter can be resolved only once there is a run."""
    artifacts = {key: value for key, value in values.items() if is_artifact(value)}
    others = RunConfig()
    others.update({key: value for key, value in values.items() if key not in artifacts})
    return others.as_dict(), artifacts


def is_artifact(value: Any) -> bool:
    """Tell an artifact object, its path with a scheme, or its JSON form from other values."""
    if isinstance(value, str):
        return value.startswith(ARTIFACT_SCHEMES)
    if isinstance(value, dict):
        return value.get("_type") == "artifactVersion"
    return hasattr(type(value), "json_encode") and hasattr(type(value), "is_draft")


def _as_json(key: str, value: Any) -> Any:
    _refuse_nested_artifacts(key, value)
    return plain(value, key, otherwise=_as_text)


def _as_text(value: Any, key: str) -> str:
    """Keep a function or class by its name, bytes as the text they hold, the rest as printed."""
    if callable(value) and hasattr(value, "__qualname__"):
        return full_name(value)
    if isinstance(value, bytes | bytearray):
        with suppress(UnicodeDecodeError):
            return value.decode()
    text = str(value)[:TEXT_MAX_CHARACTERS]
    term.warn_once(f"config `{key}` is a {kind_of(value)}; it is kept as the text {text!r}")
    return text


def _refuse_nested_artifacts(key: str, value: Any, depth: int = 0) -> None:
    if depth > NESTING_MAX:  # `plain` refuses it by name
        return
    is_sequence = isinstance(value, list | tuple | set | frozenset)
    items = enumerate(value) if is_sequence else (fields_of(value) or {}).items()
    for name, item in items:
        if is_artifact(item):
            raise Invalid(
                f"Config `{key}.{name}` is an artifact; artifacts are recorded as used only "
                "at the top level of the config"
            )
        if not isinstance(item, str | int | float):  # of which a list may hold many
            _refuse_nested_artifacts(f"{key}.{name}", item, depth + 1)


def _equal(before: Any, after: Any) -> bool:
    return bool(before == after) or (before != before and after != after)  # NaN


def _is_same(stored: Any, now: Any) -> bool:
    """Tell a value that is JSON from one that may hold anything, such as an array."""
    try:
        return bool(stored == now)
    except Exception:  # noqa: BLE001 - an array is equal to nothing, and says so in its own way
        return False


Config = RunConfig
"""W&B's name of it, as `lineal.Config`."""
