"""The accepted rewrites of every training text: generated, judged, kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from tether.data import Examples
from tether.data.once import once
from tether.files import cache_dir, read_json, write_json
from tether.progress import bar
from tether.shifts.draws import Draws
from tether.shifts.generated.acceptance import Similarity, Tally, Verdict, judged
from tether.shifts.generated.prompts import Prompt
from tether.shifts.generated.store import Store
from tether.shifts.generated.writer import Reply, Sampling, Task, Writer, task_of

RECIPE = 1  # raise it when filters change
CHUNK = 8  # batches between two appends to the cache
JUDGED = 512  # replies whose similarity is asked at once


@dataclass(frozen=True)
class Rewrites:
    """What there is for each training sample.

    Attributes:
        texts: of each sample its accepted rewrites, (N) lists, from the least changed to the most.
        said: the counts, for people.
        rate: accepted of all rewrites.
    """

    texts: Sequence[Sequence[str]]
    said: str
    rate: float


def planned(
    train: Examples,
    prompts: Sequence[Prompt],
    per_text: int,
    limit: int | None,
    model: str,
    sampling: Sampling,
) -> list[list[Task]]:
    """The tasks of each training sample: `per_text` of the prompts, drawn for it without replacement.

    With a limit, so many samples have tasks, chosen by a hash of their ids; the others have none.
    """
    ids = torch.from_numpy(train.ids)
    draws = Draws(sampling.seed).spawn("generated")
    order = draws.uniform(ids, (len(prompts),), "prompts").argsort(dim=1, stable=True)[:, :per_text]
    turn = draws.words(ids, (), "turn").argsort()
    chosen = set(turn[: len(ids) if limit is None else limit].tolist())
    texts: list[str] = []
    for start in range(0, len(train), 1024):
        texts += [str(t) for t in train.batch(range(start, min(start + 1024, len(train)))).x]
    return [
        [task_of(text, prompts[p], model, sampling) for p in order[i].tolist()] if i in chosen else []
        for i, text in enumerate(texts)
    ]


def rewrites(
    tasks: Sequence[Sequence[Task]],
    store: Store,
    writer: Callable[[], Writer],
    similarity: Callable[[], Similarity],
    judge: str,
    batch_size: int,
) -> Rewrites:
    """Generate what the store lacks, judge everything, keep the verdicts.

    Args:
        tasks: of each sample.
        store: the replies so far.
        writer: makes the back end; called only when something is missing.
        similarity: makes the filter of meaning; called only when verdicts are missing.
        judge: what tells this filter from another.
        batch_size: tasks the back end gets at once.

    Raises:
        RequestError: the back end fails, or less than 30% of the rewrites are accepted.
    """
    unique = {task.key: task for of_sample in tasks for task in of_sample}
    similarity = cache(similarity)
    about = repr((RECIPE, judge, sorted(unique)))
    name = hashlib.blake2b(about.encode(), digest_size=16).hexdigest()

    def build(part: Path) -> None:
        replies = generated_replies(unique, store, writer, similarity, batch_size)
        write_json(part, {key: _row(v) for key, v in _verdicts(unique, replies, similarity).items()})

    kept = read_json(once(cache_dir() / "generated" / "verdicts" / f"{name}.json", build))
    verdicts = {key: Verdict(*row) for key, row in kept.items()}
    tally = Tally()
    tally.add(list(verdicts.values()))
    tally.check()
    return collected(tasks, verdicts, tally)


def collected(tasks: Sequence[Sequence[Task]], verdicts: Mapping[str, Verdict], tally: Tally) -> Rewrites:
    """Each sample's accepted rewrites, each once, in the order of their edit ratio."""
    texts = []
    for of_sample in tasks:
        good = {v.text: v.edit for v in (verdicts[t.key] for t in of_sample) if v.fault is None}
        texts.append(sorted(good, key=lambda text: (good[text], text)))
    without = sum(not t for t in texts)
    said = f"{tally.said()}; {without} of {len(texts)} training texts stay as they are"
    return Rewrites(texts, said, tally.rate)


def generated_replies(
    unique: Mapping[str, Task],
    store: Store,
    writer: Callable[[], Writer],
    similarity: Callable[[], Similarity],
    batch_size: int,
) -> dict[str, Reply]:
    """The replies of all tasks; those the store lacks are made and stored in chunks.

    Raises:
        RequestError: early, where the acceptance is hopeless; what was made stays stored.
    """
    have = store.read()
    if all(key in have for key in unique):
        return have
    with store.turn():
        have = store.read()  # another process may have been at work
        missing = [unique[key] for key in sorted(unique) if key not in have]  # sorted by hash: a fair sample
        if not missing:
            return have
        similarity()  # an encoder that cannot be used is refused before anything is written
        back_end = writer()
        tally = Tally()
        size = CHUNK * batch_size
        with bar("rewriting texts", len(missing)) as progress:
            for start in range(0, len(missing), size):
                chunk = sorted(missing[start : start + size], key=lambda t: (len(t.text), t.key))
                made: dict[Task, Reply] = {}
                for first in range(0, len(chunk), batch_size):
                    some = chunk[first : first + batch_size]
                    made |= zip(some, back_end.write(some), strict=True)
                    progress.advance(len(some))
                store.add(made)
                have |= {task.key: reply for task, reply in made.items()}
                tally.add(judged(list(made), list(made.values()), similarity))
                progress.note(f"rewriting texts ({tally.rate:.0%} accepted)")
                tally.check(so_far=True)
    return have


def _verdicts(
    unique: Mapping[str, Task], replies: Mapping[str, Reply], similarity: Callable[[], Similarity]
) -> dict[str, Verdict]:
    tasks = list(unique.values())
    found: dict[str, Verdict] = {}
    with bar("judging rewrites", len(tasks)) as progress:
        for start in range(0, len(tasks), JUDGED):
            some = tasks[start : start + JUDGED]
            verdicts = judged(some, [replies[t.key] for t in some], similarity)
            found |= zip((t.key for t in some), verdicts, strict=True)
            progress.advance(len(some))
    return found


def _row(verdict: Verdict) -> list[object]:
    return [verdict.text, verdict.fault, verdict.edit]
