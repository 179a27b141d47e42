"""`lineal login`, which people who come from W&B type first, and scripts of theirs."""

from __future__ import annotations

from lineal.cli import output
from lineal.config import load

ANY_WORDS = {"ignore_unknown_options": True, "allow_extra_args": True}
"""What the command is given, such as `--relogin` or a key, is not looked at, and kept nowhere."""


def login() -> None:
    """Say that there is no account: nothing must be done before runs are recorded.

    W&B's options and a key may be given; they are not looked at.
    """
    output.data(
        f"There is no account and no server to log in to: your data is in {load().home}, and "
        "stays there; `lineal status` shows what is in it"
    )
