"""What rewrites: a task goes in, a reply comes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tether.shifts.generated.prompts import Prompt

TOKEN_RATIO = 1.5  # METHODS 5.3: tokens of a rewrite, at most, over those of the text
FEWEST_TOKENS = 16  # of that limit: half as much again of a three-word text leaves no room for any style


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn (METHODS 5.3).

    Attributes:
        temperature: logits are divided by it.
        top_p: the smallest set of tokens with this much probability is drawn from.
        seed: another one gives other rewrites.
    """

    temperature: float = 0.8
    top_p: float = 0.9
    seed: int = 0


@dataclass(frozen=True)
class Task:
    """One text to rewrite by one prompt.

    Attributes:
        key: hash of text, prompt, model, and how it is sampled: names the reply in the cache, and every
            random number of it hangs on this alone.
    """

    key: str
    text: str
    prompt: Prompt

    @property
    def number(self) -> int:
        """The key as a signed 64-bit number."""
        return int.from_bytes(bytes.fromhex(self.key)[:8], "little", signed=True)


@dataclass(frozen=True)
class Reply:
    """What the model wrote; not `finished` when it was cut at the limit of tokens."""

    text: str
    finished: bool


class Writer(Protocol):
    """A back end."""

    def write(self, tasks: Sequence[Task]) -> list[Reply]:
        """A reply for each task, in order.

        Raises:
            RequestError: when the back end cannot be used.
        """


def task_of(text: str, prompt: Prompt, model: str, sampling: Sampling) -> Task:
    """The task with its key."""
    about = json.dumps([text, prompt.id, model, sampling.seed, sampling.temperature, sampling.top_p])
    return Task(hashlib.blake2b(about.encode(), digest_size=16).hexdigest(), text, prompt)
