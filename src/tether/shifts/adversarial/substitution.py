"""`adv_substitution`: a few words exchanged for others that fit; gives texts (METHODS 1.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts.adversarial.budget import factor, positive
from tether.shifts.adversarial.first_order import Slopes
from tether.shifts.adversarial.masked_lm import MaskedLM
from tether.shifts.adversarial.neighbours import Neighbours
from tether.shifts.adversarial.objective import Goal, Mode, Objective
from tether.shifts.adversarial.opposites import opposed
from tether.shifts.adversarial.places import (
    Place,
    class_words,
    function_words,
    in_case_of,
    may_stand_for,
    places,
    word_count,
)
from tether.shifts.adversarial.reads import ReadsTokens, token_backbone
from tether.shifts.adversarial.rest import at_rest
from tether.shifts.attack import Attack
from tether.shifts.draws import Draws
from tether.shifts.maker import Maker

NAME = "adv_substitution"
SUMMARY = "up to a tenth of the words exchanged for fitting ones where J truly rises"

Propose = Callable[[Sequence[Place], ReadsTokens], list[list[str]]]

_RISE = 1e-6  # nats; a smaller one may be the rounding of another padding


def adv_substitution(
    rate: float = 0.1,
    cap: int = 5,
    mode: Mode = "auto",
    masked_lm: str | None = None,
    candidates: Callable[[str], Iterable[str]] | None = None,
    top: int = 20,
    tries: int = 4,
    reach: int = 10,
    warmup_steps: int = 0,
    kappa: float = 1e-3,
    teacher: str = "initial",
) -> Attack:
    """Adversarial texts: the swap with the largest first-order score, one after another, each tried truly.

    Each round takes the gradient at the text as it stands, scores every candidate of every word, runs the
    models on the best few and keeps the best if J rose. Numbers, negations, placeholders, names, class names
    and English function words stay; no word takes the place of its opposite, or brings praise or blame.

    Args:
        rate: share of a text's words that may change at severity 3, rounded down, at least one word;
            severities 1 to 5 scale it by .25 .5 1 1.5 2.
        cap: most words that change in a text.
        mode: J (see `Objective`). "anchor" and "self" take gradients from the student alone.
        masked_lm: folder or hub name of a masked language model that proposes candidates.
        candidates: a function word -> words that may stand for it, such as a lexicon; only from Python. With
            neither, the nearest whole-word tokens of the model's own embedding table.
        top: candidates a word.
        tries: swaps of a text that are run a round.
        reach: words of a text that are considered a round, those with the longest gradients.
        warmup_steps: training steps in which "auto" is "anchor".
        kappa: clean KL in nats below which "auto" is "anchor" for a sample.
        teacher: which teacher of the method is M_0.

    Raises:
        RequestError: a count that is not positive, both sources of candidates, a folder that is not there.

    Example:
        >>> adv_substitution(mode="self", candidates={"film": ["movie"]}.get).space
        'raw'
    """
    positive(NAME, rate=rate, cap=cap, top=top, tries=tries, reach=reach)
    if masked_lm is not None and candidates is not None:
        raise RequestError(f"{NAME}: expected masked_lm or candidates, got both; leave one out")
    goal = Goal(mode, warmup_steps, kappa, teacher)
    propose: Propose
    if candidates is not None:
        propose = _from_words(candidates, top)
    else:
        propose = MaskedLM(masked_lm, top) if masked_lm is not None else Neighbours(top)

    def apply(batch: Batch, severity: int, draws: Draws, model: Any, teachers: Any) -> Batch:
        backbone = token_backbone(NAME, model)
        kept = class_words(getattr(model, "classes", ())) | function_words()
        assert isinstance(batch.x, tuple)
        budget = [min(cap, max(1, int(rate * factor(severity) * word_count(t) + 1e-9))) for t in batch.x]
        with at_rest(model, backbone.table.device):
            objective = goal.objective(batch, model, teachers, draws.step)
            search = _Search(batch, objective, backbone, propose, kept, tries, reach)
            for k in range(max(budget)):
                search.round([i for i, b in enumerate(budget) if k < b], draws.spawn(f"round/{k}"))
            return replace(batch, x=tuple(search.texts))

    # Gradients through M_0 run through the student's token embeddings.
    shared = mode in ("auto", "div", "teacher")
    return Attack(
        NAME, "adversarial", "text", SUMMARY, apply, goal.asks, space="embedding" if shared else "raw"
    )


@dataclass(frozen=True)
class _Swap:
    """One word for another, with the first-order score that speaks for it."""

    place: Place
    word: str
    score: float


class _Search:
    """The texts of a batch as they stand, and J of each."""

    def __init__(
        self,
        batch: Batch,
        objective: Objective,
        backbone: ReadsTokens,
        propose: Propose,
        kept: frozenset[str],
        tries: int,
        reach: int,
    ) -> None:
        assert isinstance(batch.x, tuple)
        self.texts = list(batch.x)
        self._batch = batch
        self._objective = objective
        self._backbone = backbone
        self._propose = propose
        self._kept = kept
        self._tries = tries
        self._reach = reach
        self._done: list[set[int]] = [set() for _ in self.texts]
        self._stuck: set[int] = set()
        self._values = self._j(list(range(len(self.texts))), self.texts)

    def round(self, rows: Sequence[int], draws: Draws) -> None:
        """Try one more swap in each of these rows; a row in which none helps is finished."""
        rows = [r for r in rows if r not in self._stuck]
        swaps = self._swaps(rows, draws) if rows else []
        values = self._j([s.place.row for s in swaps], [s.place.put(s.word) for s in swaps])
        best: dict[int, tuple[float, _Swap]] = {}
        for swap, value in zip(swaps, values, strict=True):
            row = swap.place.row
            if value > self._values[row] + _RISE and (row not in best or value > best[row][0]):
                best[row] = (value, swap)
        self._stuck |= {r for r in rows if r not in best}
        for row, (value, swap) in best.items():
            self.texts[row] = swap.place.put(swap.word)
            self._values[row] = value
            self._done[row].add(swap.place.at)

    def _swaps(self, rows: list[int], draws: Draws) -> list[_Swap]:
        """The most promising swaps of each row."""
        part = replace(self._batch.take(rows), x=tuple(self.texts[r] for r in rows))
        slopes = Slopes(part, self._backbone, self._objective.take(rows), draws)
        found = [
            p
            for i, r in enumerate(rows)
            for p in slopes.steepest(places(self.texts[r], i, self._kept, self._done[r]), self._reach)
        ]
        ranked: dict[int, list[_Swap]] = {r: [] for r in rows}
        for place, words in zip(found, self._propose(found, self._backbone), strict=True):
            fitting = self._fitting(place.word, words)
            if fitting:
                row = rows[place.row]
                scores = slopes.scores(place, fitting).tolist()
                ranked[row] += [
                    _Swap(replace(place, row=row), w, s) for w, s in zip(fitting, scores, strict=True)
                ]
        return [s for group in ranked.values() for s in sorted(group, key=lambda s: -s.score)[: self._tries]]

    def _fitting(self, word: str, words: Sequence[str]) -> list[str]:
        able = (w for w in words if may_stand_for(word, w, self._kept) and not opposed(word, w))
        return list(dict.fromkeys(in_case_of(w, word) for w in able))

    def _j(self, rows: list[int], texts: Sequence[str]) -> list[float]:
        """J of these texts, each in the place of its row."""
        values: list[Tensor] = []
        size = max(1, len(self._batch))
        with torch.no_grad():
            for i in range(0, len(rows), size):
                part = rows[i : i + size]
                batch = replace(self._batch.take(part), x=tuple(texts[i : i + size]))
                values.append(self._objective.take(part)(batch))
        return torch.cat(values).tolist() if values else []


def _from_words(candidates: Callable[[str], Iterable[str]], top: int) -> Propose:
    def propose(asked: Sequence[Place], backbone: ReadsTokens) -> list[list[str]]:
        return [list(candidates(p.word) or ())[:top] for p in asked]

    return propose


SUBSTITUTION = Maker(NAME, "adversarial", "text", SUMMARY, adv_substitution)
