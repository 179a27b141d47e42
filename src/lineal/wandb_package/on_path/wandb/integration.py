"""W&B's callbacks for other libraries: they are code of its own, and not there yet."""

from lineal.wandb_names import INSTEAD

raise ModuleNotFoundError(
    f"{__name__} is not in Lineal yet: {INSTEAD['integration']}; docs/compatibility.md lists what "
    "is missing",
    name=__name__,
)
