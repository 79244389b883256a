"""timm and open_clip import torchvision, which may be there and yet not fit the CPU build of torch.

Then its import fails because two operators that only detection uses have no schema. Nothing here calls them,
so declaring the schemas first is enough. It is tried in another process, as a failed import leaves halves.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

if importlib.util.find_spec("torchvision") is not None and "torchvision" not in sys.modules:
    works = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, check=False)
    if works.returncode != 0:
        DECLARED = torch.library.Library("torchvision", "DEF")  # kept alive: schemas go with their library
        DECLARED.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        DECLARED.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
