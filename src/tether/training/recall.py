"""A teacher's outputs on the clean training samples, computed once for a run instead of every epoch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tether.batch import Output
from tether.data import Examples
from tether.objective import Runner
from tether.objective.forwards import CLEAN
from tether.objective.plan import Plan, teacher_key
from tether.progress import bar
from tether.training.device import Engine

CHUNK = 64  # samples a pass while filling
_HALF = 3e4  # beyond it float16 runs out


@dataclass(frozen=True, eq=False)
class Recalled:
    """Outputs by sample id.

    They are computed in one fixed order and company, whatever the steps ask first, so that a resumed run
    recalls the very numbers of one that was not stopped. Where the budget is short, block outputs are held in
    half precision: their losses then change by about 1e-4 of themselves.

    Attributes:
        place: sample id -> row.
        small: logits by head, features and trust, as an Output of N rows without blocks.
        blocks: block -> outputs, (N, ...), or one (T_i, D) a sample where T varies.
        lengths: T_i of texts; None where all are alike.
        size: bytes of memory.
    """

    place: Mapping[int, int]
    small: Output
    blocks: Mapping[int, Tensor | list[Tensor]]
    lengths: Tensor | None
    size: float = 0.0

    def answers(self, hidden: Collection[int]) -> bool:
        """Whether these blocks are held."""
        return set(hidden) <= set(self.blocks)

    def __call__(self, ids: Tensor) -> Output:
        """The outputs of these samples; masks end at the longest of them."""
        rows = torch.tensor([self.place[int(i)] for i in ids.tolist()])
        device = ids.device
        out = self.small.take(rows)
        hidden = {}
        for block, held in self.blocks.items():
            if isinstance(held, Tensor):
                hidden[block] = held[rows].float().to(device)
            else:
                hidden[block] = pad_sequence([held[int(r)].float() for r in rows], batch_first=True).to(
                    device
                )
        mask = None
        if self.lengths is not None:
            lengths = self.lengths[rows]
            mask = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).to(device)
        return Output(
            out.features.to(device),
            {name: v.to(device) for name, v in out.logits.items()},
            hidden,
            mask,
            None if out.trust is None else out.trust.to(device),
        )


def recalled(
    plan: Plan, teachers: Mapping[str, Runner], examples: Examples, engine: Engine, budget: float
) -> dict[str, Recalled]:
    """What can be recalled of each teacher that the terms ask about clean samples.

    Args:
        plan: what the terms ask for.
        examples: the training set.
        budget: bytes for all of it; where it is short, blocks are held in half precision, then left out, then
            whole teachers.
    """
    found: dict[str, Recalled] = {}
    for name, run in teachers.items():
        asked = plan.asked.get(teacher_key(name), {})
        if CLEAN not in asked:
            continue
        made = fill(f"{name} teacher", run, sorted(asked[CLEAN]), examples, engine, budget)
        if made is not None:
            found[name] = made
            budget -= made.size
    return found


def fill(
    label: str,
    run: Runner,
    hidden: Sequence[int],
    examples: Examples,
    engine: Engine,
    budget: float,
    halves: bool = True,
) -> Recalled | None:
    """Run every sample once and hold what came out, as far as the budget goes.

    Args:
        label: whose outputs, for the progress bar.
        hidden: blocks.
        budget: bytes.
        halves: whether block outputs may be held in half precision where they do not fit otherwise.

    Returns:
        The outputs; None if not even those without blocks fit.
    """
    sizes = examples.sizes()
    order = np.arange(len(examples)) if sizes is None else np.argsort(-sizes, kind="stable")
    smalls: list[Output] = []
    blocks: dict[int, list[Tensor]] = {}
    lengths: list[Tensor] = []
    spent, half = 0.0, False
    with bar(f"{label} on clean samples", len(order)) as progress:
        for start in range(0, len(order), CHUNK):
            rows = order[start : start + CHUNK]
            batch = examples.batch(rows.tolist()).to(engine.device)
            with torch.no_grad(), engine.autocast():
                out = run(batch, hidden)
            if start == 0:  # the longest come first, so this is the most that the rest can take
                scale = len(order) / len(rows)
                small = scale * _bytes([out.features, *out.logits.values()])
                large = scale * _bytes(out.hidden.values())
                if small > budget:
                    return None
                half = small + large > budget
                fits = not half or (halves and small + large / 2 <= budget and _largest(out) <= _HALF)
                if not fits or not _prefix(out.mask):
                    hidden, out = [], Output(out.features, out.logits, {}, None, out.trust)
                spent = small + (large / 2 if half else large) * bool(hidden)
            smalls.append(_on_host(out))
            if hidden and out.mask is not None:
                lengths.append(out.mask.sum(1).cpu())
            for block in hidden:
                blocks.setdefault(block, []).extend(_rows(out, block, half))
            progress.advance(len(rows))
    ids = examples.ids[order].tolist()
    return Recalled(
        {int(i): row for row, i in enumerate(ids)},
        _joined(smalls),
        {b: held if lengths else torch.stack(held) for b, held in blocks.items()},
        torch.cat(lengths) if lengths else None,
        spent,
    )


def _rows(out: Output, block: int, half: bool) -> list[Tensor]:
    """Each sample's block output, without its padding."""
    whole = out.hidden[block].detach().cpu()
    whole = whole.half() if half else whole.float()
    if out.mask is None:
        return list(whole)
    return [row[:n].clone() for row, n in zip(whole, out.mask.sum(1).tolist(), strict=True)]


def _prefix(mask: Tensor | None) -> bool:
    """Whether padding comes last, as it will when rows are padded again."""
    return mask is None or bool((mask[:, 1:] <= mask[:, :-1]).all())


def _bytes(held: Iterable[Tensor]) -> float:
    return sum(t.numel() * 4.0 for t in held)


def _largest(out: Output) -> float:
    return max((float(t.abs().max()) for t in out.hidden.values()), default=0.0)


def _on_host(out: Output) -> Output:
    def host(t: Tensor) -> Tensor:
        return t.detach().float().cpu()

    return Output(
        host(out.features), {n: host(v) for n, v in out.logits.items()}, {}, None,
        None if out.trust is None else host(out.trust),
    )  # fmt: skip


def _joined(parts: Sequence[Output]) -> Output:
    trusts = [p.trust for p in parts if p.trust is not None]
    return Output(
        torch.cat([p.features for p in parts]),
        {name: torch.cat([p.logits[name] for p in parts]) for name in parts[0].logits},
        {}, None, torch.cat(trusts) if trusts else None,
    )  # fmt: skip
