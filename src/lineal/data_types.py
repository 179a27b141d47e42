"""The data types under the path that older scripts know: `wandb.data_types.Table`."""

from lineal.client.media.audio import Audio as Audio
from lineal.client.media.bokeh import Bokeh as Bokeh
from lineal.client.media.classes import Classes as Classes
from lineal.client.media.eval_table import EvalTable as EvalTable
from lineal.client.media.histogram import Histogram as Histogram
from lineal.client.media.html import Html as Html
from lineal.client.media.image import Image as Image
from lineal.client.media.layer import BoundingBoxes2D as BoundingBoxes2D
from lineal.client.media.layer import ImageMask as ImageMask
from lineal.client.media.model_graph import Edge as Edge
from lineal.client.media.model_graph import Graph as Graph
from lineal.client.media.model_graph import Node as Node
from lineal.client.media.molecule import Molecule as Molecule
from lineal.client.media.object3d import Object3D as Object3D
from lineal.client.media.object3d import box3d as box3d
from lineal.client.media.plotly import Plotly as Plotly
from lineal.client.media.table import Table as Table
from lineal.client.media.table_sets import JoinedTable as JoinedTable
from lineal.client.media.table_sets import PartitionedTable as PartitionedTable
from lineal.client.media.types import DataObject as WBValue
from lineal.client.media.video import Video as Video

Media = WBValue
"""What all of them are, by the names of W&B's bases."""
