"""What libraries take from inside W&B's package: mostly the classes to compare with."""

from lineal import controller as controller
from lineal import finish as finish
from lineal import init as init
from lineal import login as login
from lineal import require as require
from lineal import setup as setup
from lineal import sweep as sweep
from lineal import teardown as teardown
from lineal.client.artifact.artifact import Artifact as Artifact
from lineal.client.run.config import Config as Config
from lineal.client.run.run import AlertLevel as AlertLevel
from lineal.client.run.summary import Summary as Summary
from lineal.config import Settings as Settings

from . import artifacts as artifacts
from . import data_types as data_types
from . import lib as lib
from . import wandb_alerts as wandb_alerts
from . import wandb_config as wandb_config
from . import wandb_helper as wandb_helper
from . import wandb_init as wandb_init
from . import wandb_run as wandb_run
from . import wandb_settings as wandb_settings
from . import wandb_summary as wandb_summary
