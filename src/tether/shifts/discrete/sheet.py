"""A PNG of pictures above their reconstructions."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tether.data import Examples
from tether.errors import RequestError
from tether.files import atomic
from tether.shifts.discrete.keep import Network
from tether.shifts.discrete.networks import Autoencoder
from tether.shifts.discrete.pictures import parted, pixels

_GAP = 2  # px of white between pictures


def check_png(path: Path) -> None:
    """Refuse a path of another kind, before anything is spent on what it is to show."""
    if path.suffix.lower() != ".png":
        raise RequestError(f"-o: expected a path ending in .png, got {path}; rename it")


def write_sheet(path: Path, rows: list[Tensor], enlarge: int = 1) -> None:
    """Write rows of pictures, each row (B, 3, H, W) in [0, 1] of the same shape.

    Args:
        path: ends in .png.
        rows: drawn from top to bottom.
        enlarge: each pixel becomes so many squared.

    Raises:
        RequestError: when the path is no PNG or cannot be written.
    """
    from PIL import Image

    check_png(path)
    lines = []
    for row in rows:
        big = row.repeat_interleave(enlarge, 2).repeat_interleave(enlarge, 3)
        framed = torch.nn.functional.pad(big, (0, _GAP, 0, _GAP), value=1.0)
        lines.append(torch.cat(list(framed), dim=2))
    whole = (torch.cat(lines, dim=1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    with atomic(path) as part:
        Image.fromarray(whole).save(part, format="PNG")


def write_examples(
    path: Path, network: Network, examples: Examples, device: torch.device, count: int, side: int
) -> None:
    """Write a sheet of training pictures that the network was not trained on, above what it makes of them.

    Args:
        count: at most so many.
        side: smaller pictures are enlarged to about so many px.
    """
    _, kept_out = parted(examples)
    spread = sorted({i * len(kept_out) // count for i in range(count)})
    x = pixels(kept_out, spread)
    with torch.no_grad():
        seen = x.to(device)
        out = network(seen) if isinstance(network, Autoencoder) else network.quantise(seen)[0]
    write_sheet(path, [x, out.cpu()], max(1, round(side / x.shape[3])))
