"""Where samples come from: sources, splits, packaged benchmarks. This room knows the modality."""

from tether.data.answers import project
from tether.data.bundle import DataBundle
from tether.data.config import DataConfig
from tether.data.doctor import Findings, examine
from tether.data.examples import Examples
from tether.data.load import load_data
from tether.data.near import NearDuplicates, near_duplicates
from tether.data.objects import from_objects
from tether.data.pool import Pool, read_pool
from tether.data.presets import list_presets, prepare

__all__ = [
    "DataBundle",
    "DataConfig",
    "Examples",
    "Findings",
    "NearDuplicates",
    "Pool",
    "examine",
    "from_objects",
    "list_presets",
    "load_data",
    "near_duplicates",
    "prepare",
    "project",
    "read_pool",
]
