"""Property tests take the time they need: machines are shared, examples differ in cost."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("lineal", deadline=None)
settings.load_profile("lineal")
