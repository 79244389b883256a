"""Default learning rates and weight decays by kind of model (METHODS 1.3 and 1.10)."""

from __future__ import annotations

from collections.abc import Mapping

from tether.models.backbone import Rate

HEAD = Rate(1e-3, 1e-4)

# LoRA 2e-4 for text; a fully tuned text model 2e-5 with decay 0.01.
TEXT: Mapping[str, Rate] = {"backbone": Rate(2e-5, 0.01), "adapter": Rate(2e-4), "head": HEAD}

# LoRA 1e-4 for images; a fully tuned vision transformer 1e-5 with decay 0.1.
IMAGE: Mapping[str, Rate] = {"backbone": Rate(1e-5, 0.1), "adapter": Rate(1e-4), "head": HEAD}

# A small convolutional network moves well at higher rates; those of EfficientNet-Lite0, the one that was
# measured here, stand for all (see efficientnet.py).
CONVOLUTIONAL: Mapping[str, Rate] = {"backbone": Rate(3e-4, 0.01), "adapter": Rate(4e-3), "head": HEAD}

# The class weights of a zero-shot head are unit vectors under a scale of about 100: 1e-3 a step would turn
# them round within one epoch. Our choice, not tuned; WiSE-FT trains head and body at 3e-5.
TWO_TOWER: Mapping[str, Rate] = {"backbone": Rate(1e-5, 0.1), "adapter": Rate(1e-4), "head": Rate(1e-4)}
