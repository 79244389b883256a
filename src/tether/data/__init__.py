"""Where samples come from: sources, splits, packaged benchmarks. This room knows the modality."""

from tether.data.bundle import DataBundle
from tether.data.config import DataConfig
from tether.data.doctor import Findings, examine
from tether.data.examples import Examples
from tether.data.load import load_data
from tether.data.presets import list_presets, prepare

__all__ = [
    "DataBundle",
    "DataConfig",
    "Examples",
    "Findings",
    "examine",
    "list_presets",
    "load_data",
    "prepare",
]
