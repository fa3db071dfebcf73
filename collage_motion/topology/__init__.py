"""Builders of graphs: seconds become frames here and nowhere else.

Motion is built from plans, as a `chain`, a `cycle`, a `tree`, or `morphing`; `grid`, `quincunx` and `cubemap` number
the pixels of pictures. All are data for the same sum, their shared pieces counted by one rule (`counting`).
"""

from collage_motion.plan import DEFAULT_OVERLAP as DEFAULT_OVERLAP
from collage_motion.topology.cube import FACES as FACES
from collage_motion.topology.cube import cubemap as cubemap
from collage_motion.topology.line import Usual as Usual
from collage_motion.topology.line import Variables as Variables
from collage_motion.topology.line import build as build
from collage_motion.topology.line import chain as chain
from collage_motion.topology.line import cycle as cycle
from collage_motion.topology.line import segment_bounds as segment_bounds
from collage_motion.topology.morph import WINDOW_S as WINDOW_S
from collage_motion.topology.morph import morphing as morphing
from collage_motion.topology.plane import grid as grid
from collage_motion.topology.plane import quincunx as quincunx
from collage_motion.topology.tree import Branch as Branch
from collage_motion.topology.tree import Story as Story
from collage_motion.topology.tree import segments_of as segments_of
from collage_motion.topology.tree import stories as stories
from collage_motion.topology.tree import tree as tree
