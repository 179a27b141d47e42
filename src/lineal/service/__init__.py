"""Use cases: authorise, validate, one transaction, return a record.

Each module is loaded when it is first wanted, as `service.gc`: a short run needs few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineal.startup.on_demand import modules_of

if TYPE_CHECKING:
    from lineal.service import artifacts as artifacts
    from lineal.service import catalog as catalog
    from lineal.service import deletion as deletion
    from lineal.service import distributed as distributed
    from lineal.service import due as due
    from lineal.service import gc as gc
    from lineal.service import history as history
    from lineal.service import lineage as lineage
    from lineal.service import lineage_graph as lineage_graph
    from lineal.service import moving as moving
    from lineal.service import projects as projects
    from lineal.service import purge as purge
    from lineal.service import restoring as restoring
    from lineal.service import retention as retention
    from lineal.service import rewinding as rewinding
    from lineal.service import run_files as run_files
    from lineal.service import runs as runs
    from lineal.service import status as status
    from lineal.service import storage as storage
    from lineal.service import strays as strays
    from lineal.service import sweep as sweep
    from lineal.service import transfers as transfers
    from lineal.service import ttl as ttl
    from lineal.service import verify as verify
else:
    __getattr__ = modules_of(__name__)
