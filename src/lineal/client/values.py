"""Turn what users log into JSON values: NumPy, torch and pandas by what they can do.

None of those packages is imported here; an object is recognised by its methods, or by its
module being loaded already. NaN and infinities are data and stay.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any

from lineal.client import term
from lineal.errors import Invalid

PLAIN = frozenset({float, int, str, bool, type(None)})
ARRAY_MAX_ELEMENTS = 10_000
"""An array longer than that does not belong into every row of a history."""
INTEGER_MOST_BITS = 1_023
"""About 300 digits, which a float can hold; beyond, neither databases nor JSON readers take a whole
number for one."""
NESTING_MAX = 64
"""Depth of dicts and lists; deeper ones usually contain themselves."""

_FINE = ("datetime64[ns]", "datetime64[ps]", "datetime64[fs]", "datetime64[as]")
"""Moments of which NumPy's `tolist` makes numbers."""
_NAMESPACES = (("argparse", "Namespace"), ("types", "SimpleNamespace"))
_FRAMES = (("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table"))

MediaWriter = Callable[[Any, str], Any]
"""Given a media object, or a list of them, and its key: store it, return what the row holds."""

Otherwise = Callable[[Any, str], Any]
"""Given a value that JSON has no form for, and its key: return what stands for it, or raise."""


def is_media(value: object) -> bool:
    """Tell whether this is a data type such as `Table` or `Image`."""
    return callable(getattr(type(value), "_log", None))


def as_metric(value: Any, key: str) -> Any:
    """Return a duration in seconds, bytes as the text they hold; raises TypeError for the rest.

    A config keeps the rest as text. A metric is to be drawn and compared: its text is a mistake
    that would be found when the run is over, such as a function that nobody called.
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray)):
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    raise TypeError(
        f"Value of `{key}` is a {kind_of(value)}, which cannot be logged; convert it to numbers, "
        "text, lists or dicts. Nothing of this call is kept"
    )


def kind_of(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def full_name(function: Any) -> str:
    """Name a function or class; one in C, such as `str.upper`, may have only a class to ask."""
    module = getattr(function, "__module__", None)
    if module is None:
        owner = getattr(function, "__objclass__", getattr(function, "__self__", function))
        module = (owner if isinstance(owner, type) else type(owner)).__module__
    return f"{module}.{function.__qualname__}"


def plain(
    value: Any,
    key: str,
    media: MediaWriter | None = None,
    depth: int = 0,
    otherwise: Otherwise = as_metric,
) -> Any:
    """Return the JSON value for what was given under `key`.

    Dataclasses, attrs classes and pydantic models count as dicts. Raises TypeError for what cannot
    be JSON, unless `otherwise` finds something; to that goes an array over ARRAY_MAX_ELEMENTS, too.
    As a metric it becomes a histogram; Invalid if it holds no numbers, or media have no place here.
    """
    if type(value) in PLAIN:
        if type(value) is str:
            return text(value)
        if type(value) is int and value.bit_length() > INTEGER_MOST_BITS:
            raise Invalid(
                f"Value of `{key}` is a whole number of more than {INTEGER_MOST_BITS} bits; log it "
                "as a text. Nothing of this call is kept"
            )
        return value
    if depth > NESTING_MAX:
        raise Invalid(f"Value of `{key}` is nested deeper than {NESTING_MAX} levels")
    fields = fields_of(value)
    if fields is not None:
        made = {
            _name(name): plain(item, f"{key}.{name}", media, depth + 1, otherwise)
            for name, item in fields.items()
        }
        if len(made) != len(fields):
            raise Invalid(
                f"`{key}` has keys that are the same as text, such as 1 and '1': "
                f"{list(fields)!r:.80}. Name them apart; nothing of this call is kept"
            )
        return made
    if isinstance(value, (Sequence, Set)) and not isinstance(value, (str, bytes, bytearray)):
        if media is not None and isinstance(value, (list, tuple)) and value and is_media(value[0]):
            return media(value, key)
        return [
            plain(item, f"{key}.{index}", media, depth + 1, otherwise)
            for index, item in enumerate(value)
        ]
    if is_media(value):
        if media is None:
            raise TypeError(f"`{key}` cannot hold a {type(value).__name__}; use `run.log`")
        return media(value, key)
    return _scalar(value, key, media, otherwise)


def as_filter(value: Any, depth: int = 0) -> Any:
    """Return a filter with dates as text, and what NumPy and pandas have for values and lists.

    What is of no use in a filter stays as it is: to say so is the matter of whoever filters.
    """
    if depth > NESTING_MAX or type(value) in PLAIN:
        return value
    if isinstance(value, Mapping):
        return {key: as_filter(item, depth + 1) for key, item in value.items()}
    is_array = getattr(value, "ndim", 0) and hasattr(value, "tolist")  # also one of a single item
    if is_array or isinstance(value, (list, tuple, Set, range)):
        return [as_filter(item, depth + 1) for item in value]
    return plain(value, "filters", otherwise=lambda given, _: given)


def fields_of(value: Any) -> Mapping[str, Any] | None:
    """Return what a dict, or an object that is made of named values only, holds; else None.

    Such objects are dataclasses, pydantic models, attrs classes, namespaces, ConfigDicts, slices.
    """
    if isinstance(value, Mapping):
        return value
    if isinstance(value, slice):
        return {f"slice_{name}": getattr(value, name) for name in ("start", "stop", "step")}
    if any(_is_a(value, *namespace) for namespace in _NAMESPACES):
        return dict(vars(value))
    if _is_a(value, "ml_collections", "ConfigDict"):
        return dict(value.items())
    kind = type(value)
    names = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "model_fields", None)
    if not isinstance(names, Mapping):
        names = [field.name for field in getattr(kind, "__attrs_attrs__", ())]
    return {name: getattr(value, name) for name in names if hasattr(value, name)} or None


def _scalar(value: Any, key: str, media: MediaWriter | None, otherwise: Otherwise) -> Any:
    if isinstance(value, Enum):
        return plain(value.value, key, media, otherwise=otherwise)
    if isinstance(value, str):
        return _name(value)
    for kind in (bool, int, float):  # subclasses, such as numpy.float64
        if isinstance(value, kind):
            return plain(kind(value), key)
    if _is_missing(value):
        return None
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return math.nan if value.is_nan() else float(value)
    if hasattr(type(value), "__fspath__"):  # not of the class `Path` itself
        return text(str(value))
    shown = None if media is None else _as_media(value)
    if media is not None and shown is not None:
        return media(shown, key)
    return _array(value, key, media, otherwise)


def _as_media(value: object) -> object | None:
    """Return a frame as a table, a picture or figure as what keeps it; None for anything else."""
    if any(_is_a(value, *frame) for frame in _FRAMES):
        from lineal.client.media.table import Table  # costs an import that few runs need

        return Table(dataframe=value)
    if figure_of(value) is not None or _is_a(value, "PIL.Image", "Image"):
        from lineal.client.media.image import Image

        return Image(value)
    if callable(getattr(value, "to_plotly_json", None)):
        from lineal.client.media.plotly import Plotly

        return Plotly(value)
    return None


def figure_of(value: object) -> Any:
    """Return what draws a value by `savefig`: itself, or the figure of axes of matplotlib.

    Those are what seaborn's functions return. None for anything else.
    """
    if callable(getattr(value, "savefig", None)):
        return value
    if not any(kind.__module__.startswith("matplotlib.") for kind in type(value).__mro__):
        return None
    figure = getattr(value, "figure", None)
    return figure if callable(getattr(figure, "savefig", None)) else None


def _array(value: Any, key: str, media: MediaWriter | None, otherwise: Otherwise) -> Any:
    """Convert what looks like a NumPy array or scalar, or a torch, jax or tensorflow tensor."""
    if isinstance(value, type):
        return otherwise(value, key)
    # torch; its modules have no `detach`, and their `cpu` would move them; open files have no
    # `cpu`, and their `detach` would close them
    if callable(getattr(value, "detach", None)) and hasattr(value, "cpu"):
        value = _on_cpu(value, key)
    if not hasattr(value, "tolist") and callable(getattr(value, "numpy", None)):
        value = value.numpy()
    if not callable(getattr(value, "tolist", None)):
        return otherwise(value, key)
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if kind == "m":  # durations of any unit
        value = value / sys.modules["numpy"].timedelta64(1, "s")
    elif str(getattr(value, "dtype", "")) in _FINE:
        value = value.astype("datetime64[us]")
    count = _element_count(value)
    if count > ARRAY_MAX_ELEMENTS:
        if otherwise is not as_metric:
            return otherwise(value, key)
        return _counted(value, key, count, media)
    if _is_a(value, "numpy.ma", "MaskedArray"):  # whose `item` shows what is masked
        value = sys.modules["numpy"].where(value.mask, None, value.data)
    is_single = count == 1 and callable(getattr(value, "item", None))
    return _json_numbers(value.item() if is_single else value.tolist(), key, otherwise)


def _on_cpu(tensor: Any, key: str) -> Any:
    """Return a torch tensor whose numbers can be read; raises Invalid if it has none."""
    try:
        found = tensor.detach().cpu()
        if getattr(found, "is_quantized", False):
            return found.dequantize()
        return found.to_dense() if "sparse" in str(getattr(found, "layout", "")) else found
    except RuntimeError as error:  # also NotImplementedError, for tensors without data
        raise Invalid(
            f"Value of `{key}` is a {kind_of(tensor)} that has no numbers to log "
            f"({str(error).rstrip('.!')}). Nothing of this call is kept"
        ) from error


def _counted(value: Any, key: str, count: int, media: MediaWriter | None) -> Any:
    """Log the histogram of an array that is too long itself."""
    what = (
        f"an array of {count:,} elements, more than the {ARRAY_MAX_ELEMENTS:,} a history row takes"
    )
    advice = "log a summary of it, or the array as a file of an artifact"
    if media is None:
        raise Invalid(f"Value of `{key}` is {what}; {advice}")
    from lineal.client.media.histogram import Histogram  # costs an import that few runs need

    try:
        histogram = Histogram(value)
    except Invalid as error:
        raise Invalid(
            f"Value of `{key}` is {what}, and has no histogram; {advice}. {error.message}. "
            "Nothing of this call is kept"
        ) from error
    term.warn_once(
        f"`{key}` is {what}, so its histogram is logged in its place; to keep the numbers, log "
        "the array as a file of an artifact. This is said once",
        key="array-counted",
    )
    return media(histogram, key)


def _element_count(value: Any) -> int:
    shape = getattr(value, "shape", None)
    if shape is None:
        return len(value) if hasattr(value, "__len__") else 1
    count = 1
    for length in shape:
        count *= int(length)
    return count


def _json_numbers(value: Any, key: str, otherwise: Otherwise) -> Any:
    """Return `tolist` output, in which dates, bytes and complex numbers may be left."""
    if isinstance(value, list):
        return [_json_numbers(item, key, otherwise) for item in value]
    if type(value) is float:
        return value
    if type(value) in PLAIN:
        return plain(value, key)
    if _is_missing(value):
        return None
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Real):  # numpy.longdouble
        return float(value)
    return otherwise(value, key)


def _is_missing(value: object) -> bool:
    """Tell what stands for no value in pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and any(
        value is getattr(pandas, name, None) for name in ("NA", "NaT")
    )


def _is_a(value: object, module: str, name: str) -> bool:
    """Tell what a value is without loading the package; if it is not loaded, it is not that."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _name(name: object) -> str:
    return text(name if isinstance(name, str) else str(name))


def iso(moment: datetime) -> str:
    """Return ISO-8601 text ending in `Z`, as moments are shown; they are always in UTC."""
    return moment.isoformat().replace("+00:00", "Z")


def text_change(before: str | None, now: str | None) -> str | None:
    """Return what a patch says: None for no change, an empty text for one that was taken away.

    Raises Invalid for what is no text.
    """
    if not isinstance(now, str | None):
        raise Invalid(f"Names, notes and descriptions are texts, not {now!r:.80}")
    return None if before == now else now or ""


def text(value: str) -> str:
    """Return Python's own text; what no database takes is escaped: lone surrogates, as in file
    names that are not UTF-8.
    """
    if type(value) is not str:
        value = str.__str__(value)  # not what a subclass shows: of an enum its member's name
    return value if value.isascii() else value.encode(errors="backslashreplace").decode()


def is_same(one: Any, other: Any) -> bool:
    """Compare JSON as JSON: for Python 1, 1.0 and True are the same."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def changes(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return which top-level keys of a JSON object were set since, and those that went."""
    changed = {
        key: value
        for key, value in now.items()
        if key not in before or not is_same(before[key], value)
    }
    return changed, tuple(key for key in before if key not in now)


def copied(value: Any) -> Any:
    """Return a copy of JSON, however deep; in a tenth of the time of `deepcopy`."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join the keys of nested dicts with dots: `{"a": {"b": 1}}` gives `{"a.b": 1}`.

    An empty dict and a media stub (a dict with `_type`) are values in themselves.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if type(value) is dict and value and "_type" not in value:
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found
