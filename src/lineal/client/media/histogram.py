"""Histograms: how often values lie in which range, kept in the row of the history itself."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence, Sized
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from lineal.client import term
from lineal.client.media import arrays, markup
from lineal.client.media.types import DataObject, MediaSource, MediaTarget
from lineal.errors import IntegrityError, Invalid

if TYPE_CHECKING:
    from typing import Self

BINS = 64


class Histogram(DataObject):
    """How many of some values lie between which edges.

    sequence: numbers to count, of any shape; needs NumPy. NaN and infinities are left out, and
    that is said once; what a masked array masks is left out too. Of no numbers at all there are
    empty bins from 0 to 1. The pair that `numpy.histogram` returns is taken as `np_histogram`.
    np_histogram: counts and edges that are there already, as `numpy.histogram` returns them; one
    edge more than counts. Where the edges descend, both are turned round; in no order they are
    kept, and that is said once. `sequence` is then not looked at.
    num_bins: bins of equal width to count `sequence` in, 1 to 512, None for the default; or what
    else `numpy.histogram` takes as `bins`: the name of a rule, such as `"auto"`, or edges.
    Raises Invalid (a ValueError) for values that are not numbers or none of them finite, too many
    bins, and counts and edges that do not go together.
    """

    type_name: ClassVar[str] = "histogram"
    MAX_LENGTH: ClassVar[int] = 512
    """Bins at most: a histogram is part of a row."""

    histogram: list[float]
    """What lies in each bin: whole numbers, unless others were given."""
    bins: list[float]
    """Edges of the bins, one more than there are bins."""

    def __init__(
        self,
        sequence: Any = None,
        np_histogram: Sequence[Any] | None = None,
        num_bins: int | str | Sequence[float] | None = BINS,
    ) -> None:
        if np_histogram is None and _is_counted(sequence):
            np_histogram = sequence
        if np_histogram is not None:
            self.histogram, self.bins = self._checked(np_histogram)
        elif sequence is not None:
            self.histogram, self.bins = _counted(sequence, self._bins_of(num_bins))
            self._count_of(len(self.histogram))
        else:
            raise Invalid("A Histogram needs values, or the counts and edges of np_histogram")

    @classmethod
    def _bins_of(cls, num_bins: Any) -> Any:
        if num_bins is None:
            return BINS
        return num_bins if isinstance(num_bins, Sized) else cls._count_of(num_bins)

    @classmethod
    def _count_of(cls, num_bins: Any) -> int:
        count = operator.index(num_bins)
        if not 1 <= count <= cls.MAX_LENGTH:
            raise Invalid(f"A Histogram has 1 to {cls.MAX_LENGTH} bins, not {count:,}")
        return count

    @classmethod
    def _checked(cls, given: Sequence[Any]) -> tuple[list[float], list[float]]:
        if not isinstance(given, Sized) or len(given) != 2:
            raise Invalid("np_histogram must be a pair: counts, and the edges of the bins")
        counts, edges = (_numbers(part, name) for part, name in zip(given, _PARTS, strict=True))
        cls._count_of(len(counts))
        if len(edges) != len(counts) + 1:
            raise Invalid(
                f"A Histogram of {len(counts):,} counts has {len(counts) + 1:,} edges, "
                f"not {len(edges):,}"
            )
        if any(math.isnan(edge) for edge in edges):
            raise Invalid("The edges of a Histogram must be numbers, and one is NaN")
        if _ascend(edges):
            return counts, edges
        if _ascend(edges[::-1]):
            return counts[::-1], edges[::-1]
        term.warn_once(
            f"The edges of a Histogram neither ascend nor descend: {edges!r:.80}. "
            "They are kept as they are; this is said once",
            key="histogram-edges",
        )
        return counts, edges

    def __repr__(self) -> str:
        return (
            f"<Histogram of {sum(self.histogram):,} values in {len(self.histogram)} bins "
            f"from {self.bins[0]:g} to {self.bins[-1]:g}>"
        )

    def _repr_html_(self) -> str:
        """Show the bars in a notebook."""
        return markup.histogram(self.histogram, self.bins, repr(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (self.histogram, self.bins) == (other.histogram, other.bins)

    __hash__ = None  # type: ignore[assignment]  # its lists may be changed

    def write(self, target: MediaTarget | None = None) -> dict[str, Any]:
        """Return the JSON object; there are no side files."""
        return {"_type": self.type_name, "values": [*self.histogram], "bins": [*self.bins]}

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:  # noqa: ARG003 - it has no files
        """Rebuild a histogram; raises IntegrityError for JSON that is none."""
        try:
            return cls(np_histogram=(json_obj["values"], json_obj["bins"]))
        except (KeyError, ValueError) as error:
            raise IntegrityError(f"This is no histogram that Lineal can read: {error}") from error

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        return self.write()


_PARTS = ("counts", "edges")


def _is_counted(given: Any) -> bool:
    """Tell what `numpy.histogram` returned; as values, two arrays of such lengths are none."""
    return (
        isinstance(given, tuple)
        and len(given) == len(_PARTS)
        and all(getattr(part, "ndim", None) == 1 for part in given)
        and len(given[1]) == len(given[0]) + 1
    )


def _ascend(edges: Sequence[float]) -> bool:
    return all(left <= right for left, right in pairwise(edges))


def _numbers(values: Any, name: str) -> list[float]:
    listed = values.tolist() if callable(getattr(values, "tolist", None)) else values
    try:
        numbers = [_number(value) for value in listed]
    except (TypeError, OverflowError):
        raise Invalid(f"The {name} of a Histogram must be numbers in a list") from None
    return numbers


def _number(value: Any) -> float:
    """Return a number as it is; raises OverflowError for a whole one that no float can hold."""
    if isinstance(value, str | bytes):  # which `float` would read
        raise TypeError
    number = float(value)
    return operator.index(value) if hasattr(value, "__index__") else number


def _counted(sequence: Any, bins: Any) -> tuple[list[float], list[float]]:
    """Count numbers between the least and the greatest in so many bins of equal width, or in bins
    that NumPy makes by a rule or of edges."""
    numpy = arrays.numpy_for("A Histogram of values")
    values = _finite(sequence, numpy)
    try:
        with numpy.errstate(all="ignore"):
            counts, edges = numpy.histogram(values, bins=bins)
        if numpy.isfinite(edges).all():
            return counts.tolist(), edges.tolist()
        cause = "edges must be finite"  # -1e308 to 1e308 is no finite width
    except (TypeError, ValueError) as error:
        cause = str(error)  # no room for so many edges between them: 1e20 and the next number
    if not isinstance(bins, int):
        raise Invalid(f"A Histogram cannot be counted in bins {bins!r:.80}: {cause}")
    return [len(values)], [float(values.min()), float(values.max())]


def _finite(sequence: Any, numpy: Any) -> Any:
    """Return the finite numbers as a vector of float64; raises Invalid if others only are there."""
    if arrays.is_tensor(sequence):
        sequence = arrays.tensor_values(sequence)
    try:
        values = numpy.asanyarray(sequence)
        if values.dtype.kind == "O" and not any(isinstance(one, str) for one in values.flat):
            values = values.astype("float64")
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"A Histogram counts numbers: {error}") from error
    if values.size and values.dtype.kind not in "biuf":
        raise Invalid(f"A Histogram counts numbers, not values of type {values.dtype}")
    if isinstance(values, numpy.ma.MaskedArray):
        values = values.compressed()
    with numpy.errstate(over="ignore"):  # of numbers wider than float64
        values = numpy.asarray(values).ravel().astype("float64", copy=False)
    finite = values[numpy.isfinite(values)]
    if values.size and not finite.size:
        raise Invalid(
            f"None of the {values.size:,} values for a Histogram is finite: NaN and infinities "
            "lie in no bin"
        )
    if finite.size < values.size:
        term.warn_once(
            f"Histogram leaves out {values.size - finite.size:,} of {values.size:,} values, "
            "which are NaN or infinite; this is said once",
            key="histogram-not-finite",
        )
    return finite
