"""Labels for runs that nobody named: two words and a number (RUN-3)."""

from __future__ import annotations

import os

# 64 each, so that six random bits choose one without bias
_FIRST = (
    "amber ancient autumn azure bold brave bright brisk calm candid clear clever cosmic crimson "
    "crisp curious dapper daring deep deft eager early earnest fair fancy fleet fond fresh gentle "
    "glad golden grand happy hardy hazel hidden honest humble icy ivory jolly keen kind lively "
    "lucid lunar mellow merry misty nimble noble quiet rapid royal rustic silent silver sleek "
    "solar steady sunny swift vivid warm"
)
_SECOND = (
    "acorn alder anchor badger bay beacon birch bison brook canyon cedar cliff cloud comet condor "
    "coral crane creek dawn delta dune eagle ember falcon fern finch fjord forest fox garden "
    "glacier grove harbor hawk heron hill island juniper kestrel lagoon lake lark leaf lynx maple "
    "marsh meadow moon oak ocean otter owl pebble pine planet pond prairie raven reef ridge river "
    "sparrow spruce willow"
)


def random_name() -> str:
    """Make a label such as `brisk-otter-417`; not unique.

    The randomness is the operating system's: programs seed Python's own and fork (STO-10).
    """
    first, second, *number = os.urandom(4)
    words = _FIRST.split()[first % 64], _SECOND.split()[second % 64]
    return f"{words[0]}-{words[1]}-{int.from_bytes(bytes(number)) % 1000 + 1}"
