"""What libraries take from W&B's own tools."""

from . import config_util as config_util
from . import disabled as disabled
from . import printer as printer
from . import runid as runid
from . import telemetry as telemetry
from .disabled import RunDisabled as RunDisabled
