"""Keeps a fork out of SQLite's way.

SQLite has locks of its own, one set per process. If one thread forks while another is inside
SQLite, the child inherits such a lock held, and waits for ever the first time it needs it. So
whoever calls SQLite without `db.engine` (which has a gate of its own) holds this one meanwhile;
a fork waits for it. Hold it for single calls: a fork must not wait for a folder to be read.
"""

from __future__ import annotations

import threading

from lineal.forks import around_forks

inside_sqlite = threading.RLock()
around_forks(inside_sqlite.acquire, inside_sqlite.release)
