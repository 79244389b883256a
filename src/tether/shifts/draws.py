"""Random numbers that belong to a sample, not to a place in a batch."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor

# The odd constant that steps a splitmix64 sequence (2^64 divided by the golden ratio), as a signed int64.
_STEP = 0x9E3779B97F4A7C15 - (1 << 64)
# The two multipliers of splitmix64's output function (Steele, Lea and Flood 2014), as signed int64.
_MULTIPLIERS = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))


def _shift_right(words: Tensor, bits: int, out: Tensor | None = None) -> Tensor:
    """Logical shift: torch's >> on int64 copies the sign bit in, so it is masked off again."""
    return torch.bitwise_right_shift(words, bits, out=out).bitwise_and_((1 << (64 - bits)) - 1)


def _scramble_(words: Tensor) -> Tensor:
    """splitmix64's output function, in place. One scratch tensor serves all steps: memory is what costs."""
    scratch = torch.empty_like(words)
    words ^= _shift_right(words, 30, scratch)
    words *= _MULTIPLIERS[0]
    words ^= _shift_right(words, 27, scratch)
    words *= _MULTIPLIERS[1]
    words ^= _shift_right(words, 31, scratch)
    return words


def scramble(words: Tensor, salt: int = 0) -> Tensor:
    """Map each int64 word to another, one to one, so that near inputs give unrelated outputs.

    Args:
        words: int64, any shape.
        salt: another salt gives another, unrelated word for the same input.

    Returns:
        int64 words of the same shape; the same on every device.
    """
    salt_word = (salt * _STEP + (1 << 63)) % (1 << 64) - (1 << 63)
    return _scramble_(words + salt_word)


def unit(words: Tensor) -> Tensor:
    """Turn int64 words into float32 in [0, 1): their top 24 bits, which float32 holds exactly."""
    return _shift_right(words, 40).to(torch.float32).mul_(2.0**-24)


@dataclass(frozen=True)
class Draws:
    """Random numbers keyed by (sample id, name, seed, step) and the element's index.

    Nothing else enters: not the batch's size or order, the number of workers, the device, or any
    global generator (METHODS section 0: a shift is reproducible from sample, name and seed).
    `uniform` and `integers` agree to the bit on every device, `normal` to float32 rounding.

    Attributes:
        seed: any integer.
        step: the training step, so that a sample meets new draws in each epoch; 0 in evaluation.
        company: ids of all samples of the step, over every process and micro-batch; for `part` alone.

    Example:
        >>> both = Draws(seed=0).uniform(torch.tensor([7, 8]), (3,), "noise")
        >>> torch.equal(both[1:], Draws(seed=0).uniform(torch.tensor([8]), (3,), "noise"))
        True
    """

    seed: int
    step: int = 0
    company: tuple[int, ...] = ()

    def spawn(self, name: str) -> Draws:
        """Unrelated draws for a part called `name`, which may then use any names of its own."""
        return Draws(self._key(f"spawn/{name}", with_step=False), self.step, self.company)

    def part(self, ids: Tensor, fraction: float, name: str) -> Tensor:
        """Which samples are drawn, (B,) bool, each with the chance `fraction`.

        Of the step's n samples fraction x n are drawn, rounded at random to a whole number: the same number
        in every step, so that steps cost alike and memory is taken in the same pieces. Where the company is
        not known, each sample is drawn by itself. Splitting a step changes nothing either way.

        Example:
            >>> ids = torch.arange(32)
            >>> int(Draws(0, company=tuple(range(32))).part(ids, 0.25, "view").sum())
            8
        """
        chance = self.uniform(ids, (), name)
        if not self.company:
            return chance < fraction
        of_step = torch.tensor(sorted(set(self.company)), dtype=torch.int64, device=ids.device)
        chances = self.uniform(of_step, (), name).sort(stable=True).values
        rounding = float(self.uniform(torch.zeros(1, dtype=torch.int64), (), f"{name}/rounding"))
        count = int(fraction * len(of_step) + rounding)
        if count == 0:
            return torch.zeros_like(chance, dtype=torch.bool)
        return chance <= chances[count - 1]

    def words(self, ids: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        """Raw 64-bit words, (B, *shape) int64, for ids (B,); what the other draws are made of."""
        key = self._key(name)
        start = scramble(scramble(ids.to(torch.int64) ^ key), 1)  # (B,)
        index = torch.arange(math.prod(shape), device=ids.device, dtype=torch.int64) * _STEP
        return _scramble_(start[:, None] + index).view(len(ids), *shape)

    def halves(self, ids: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        """Raw 32-bit words, (B, *shape) int32: two from each 64-bit word, for half the price."""
        count = math.prod(shape)
        pairs = self.words(ids, ((count + 1) // 2,), name)
        return pairs.view(torch.int32)[:, :count].reshape(len(ids), *shape)

    def uniform(self, ids: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        """Uniform in [0, 1), (B, *shape) float32."""
        return unit(self.words(ids, shape, name))

    def normal(self, ids: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        """Standard normal, (B, *shape) float32, by the Box-Muller transform; |z| stays below 5.9."""
        count = math.prod(shape)
        words = self.words(ids, ((count + 1) // 2,), name)  # one word makes two normals
        # Half a step above unit(): the logarithm never sees 0.
        radius = unit(words).add_(2.0**-25).log_().mul_(-2.0).sqrt_()
        angle = unit(words.bitwise_left_shift_(32)).mul_(2.0 * math.pi)
        pairs = torch.empty(*words.shape, 2, device=ids.device)
        torch.mul(radius, angle.cos(), out=pairs[..., 0])
        torch.mul(radius, angle.sin_(), out=pairs[..., 1])
        return pairs.flatten(1)[:, :count].reshape(len(ids), *shape)

    def integers(self, ids: Tensor, low: int, high: int, shape: tuple[int, ...], name: str) -> Tensor:
        """Uniform integers low <= k < high, (B, *shape) int64.

        Raises:
            ValueError: when the range is empty or wider than 2^31.
        """
        if not 0 < high - low <= 1 << 31:
            raise ValueError(f"expected low < high <= low + 2**31, got low={low}, high={high}")
        # Multiply and shift: the bias, at most width / 2^32, is far below what any batch can show.
        return (_shift_right(self.words(ids, shape, name), 32) * (high - low) >> 32) + low

    def rng(self, sample_id: int, name: str) -> random.Random:
        """Python's own generator for one sample, for text, where a tensor of draws does not fit."""
        return random.Random(self._key(f"rng/{sample_id}/{name}"))

    def _key(self, name: str, with_step: bool = True) -> int:
        """A stable signed 64-bit number (Python's own hash() differs between processes)."""
        text = f"{self.seed}/{self.step if with_step else '-'}/{name}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
