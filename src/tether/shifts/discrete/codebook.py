"""Codebook: vectors that follow the running mean of what is assigned to them (METHODS 3.5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tether.shifts.discrete.quantiser import nearest

DECAY = 0.99
_SMALL = 1e-5  # Laplace smoothing of the counts, so that an unused code does not divide by zero
_DEAD = 0.03  # a code with less than this part of a fair share of assignments is restarted


class Codebook(nn.Module):
    """K vectors of width D, trained by exponential moving averages and not by gradient.

    Buffers: `vectors` (K, D), `counts` (K,) running assignments a step, `sums` (K, D) running sums of
    what was assigned.

    Source: van den Oord, Vinyals and Kavukcuoglu 2017, appendix A.1; dead codes are restarted at
    encoder outputs as in Dhariwal et al. 2020 (Jukebox).
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(codes, dim))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, dim))

    @torch.no_grad()
    def start(self, rows: Tensor, generator: torch.Generator) -> None:
        """Place the codes at encoder outputs (N, D), repeated when there are fewer than codes."""
        self._place(torch.ones_like(self.counts, dtype=torch.bool), rows, len(rows), generator)

    @torch.no_grad()
    def update(self, rows: Tensor, index: Tensor) -> None:
        """Move each code to the running mean of the rows (N, D) assigned to it by index (N,)."""
        ones = torch.ones(len(index), dtype=rows.dtype, device=rows.device)
        new_counts = torch.zeros_like(self.counts).index_add_(0, index, ones)
        new_sums = torch.zeros_like(self.sums).index_add_(0, index, rows)
        self.counts.mul_(DECAY).add_(new_counts, alpha=1 - DECAY)
        self.sums.mul_(DECAY).add_(new_sums, alpha=1 - DECAY)
        total = self.counts.sum()
        smooth = (self.counts + _SMALL) / (total + len(self.counts) * _SMALL) * total
        self.vectors.copy_(self.sums / smooth[:, None])

    @torch.no_grad()
    def restart(self, rows: Tensor, generator: torch.Generator) -> int:
        """Put dead codes at random rows of (N, D); how many there were."""
        dead = self.counts < _DEAD * self.counts.mean()
        self._place(dead, rows, float(self.counts.sum()), generator)
        return int(dead.sum())

    def _place(self, which: Tensor, rows: Tensor, total: float, generator: torch.Generator) -> None:
        count = int(which.sum())
        chosen = torch.randperm(len(rows), generator=generator)
        chosen = chosen.repeat(-(-count // len(rows)))[:count].to(rows.device)
        share = total / len(self.counts)  # a fair one, so that it is not dead again at once
        self.vectors[which] = rows[chosen]
        self.counts[which] = share
        self.sums[which] = rows[chosen] * share

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest codes of latents.

        Args:
            z: (B, D, h, w).

        Returns:
            The codes' vectors in z's place, with z's gradient (straight-through), and their numbers
            (B, h, w) int64.
        """
        rows = flat(z.detach())
        index = nearest(rows, self.vectors).view(z.shape[0], *z.shape[2:])
        quantised = self.look_up(index)
        return z + (quantised - z).detach(), index

    def look_up(self, index: Tensor) -> Tensor:
        """Vectors (B, D, h, w) of codes (B, h, w)."""
        return self.vectors[index].permute(0, 3, 1, 2).contiguous()


def flat(z: Tensor) -> Tensor:
    """Latents (B, D, h, w) as rows (B * h * w, D)."""
    return z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
