"""The run of `mode="disabled"`."""

from lineal.client.run.disabled import DisabledRun as RunDisabled

__all__ = ["RunDisabled"]
