"""Back end: a causal or sequence-to-sequence model of the transformers library, from a folder or the hub."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from tether.errors import RequestError
from tether.shifts.generated.sampling import GumbelNoise
from tether.shifts.generated.writer import FEWEST_TOKENS, TOKEN_RATIO, Reply, Sampling, Task


def model_id(name: str, revision: str | None) -> str:
    """What tells this model from others in the cache: a hub name with its revision, or a folder's files.

    A folder is known by the names, sizes and times of its files; the weights are not read for it.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return f"{name}@{revision or 'main'}"
    files = [
        (p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(folder.iterdir()) if p.is_file()
    ]
    return f"{folder.name}@{hashlib.blake2b(repr(files).encode(), digest_size=8).hexdigest()}"


def loaded(load: Callable[[], Any], name: str, what: str) -> Any:
    """What `load` gives; the library's complaints become a request.

    Raises:
        RequestError: the model cannot be read.
    """
    try:
        return load()
    except (OSError, ValueError, KeyError, ImportError) as e:
        first = (str(e).strip().splitlines() or [type(e).__name__])[0][:300]
        raise RequestError(
            f"generated: expected {name} to be {what} with safetensors weights and a tokenizer; loading it "
            f"said: {first}"
        ) from e


class LanguageModel:
    """Rewrites with a model on this machine.

    With a chat template the prompt is the user's turn, and the reply ends where the model ends it. Without
    one a causal model goes on after the prompt, and its reply ends with the line: a model that was never
    taught to stop would write on.

    Args:
        name: a folder or hub name. Code from it never runs, a pickled checkpoint is refused.
        revision: of the hub.
        sampling: temperature, top-p and seed.
        device: where it runs.

    Raises:
        RequestError: it is no such model.
    """

    def __init__(self, name: str, revision: str | None, sampling: Sampling, device: torch.device) -> None:
        import transformers
        from transformers.utils import logging as hf_logging

        hf_logging.disable_progress_bar()
        hf_logging.set_verbosity_error()
        given = {"revision": revision, "trust_remote_code": False}
        what = "a language model of the transformers library"
        about = loaded(lambda: transformers.AutoConfig.from_pretrained(name, **given), name, what)
        self.translates = bool(getattr(about, "is_encoder_decoder", False))
        auto = transformers.AutoModelForSeq2SeqLM if self.translates else transformers.AutoModelForCausalLM
        dtype = torch.float32 if device.type == "cpu" else "auto"
        self.network = loaded(
            lambda: auto.from_pretrained(name, dtype=dtype, use_safetensors=True, **given), name, what
        )
        self.network.to(device).eval()
        self.tokenizer = loaded(lambda: transformers.AutoTokenizer.from_pretrained(name, **given), name, what)
        self.tokenizer.padding_side = "left"
        self.tokenizer.truncation_side = "left"
        ends = self.network.generation_config.eos_token_id
        self.ends = [ends] if isinstance(ends, int) else list(ends or [])
        if not self.ends and self.tokenizer.eos_token_id is not None:
            self.ends = [self.tokenizer.eos_token_id]
        if not self.ends:
            raise RequestError(f"generated: {name} has no token that ends a text; choose another model")
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token_id = self.ends[0]
        self.chats = getattr(self.tokenizer, "chat_template", None) is not None
        self.by_line = not self.chats and not self.translates
        self.sampling = sampling
        self.device = device
        self.longest = getattr(about, "max_position_embeddings", None) or math.inf

    def limit(self, text: str) -> int:
        """Tokens that a rewrite of this text may have."""
        own = len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return max(FEWEST_TOKENS, math.ceil(TOKEN_RATIO * own))

    def write(self, tasks: Sequence[Task]) -> list[Reply]:
        """Replies, in order; a text that does not fit into the model comes back empty and unfinished."""
        prompts = [self._prompt(task) for task in tasks]
        limits = [self.limit(task.text) for task in tasks]
        coded = [
            self.tokenizer(p, add_special_tokens=not self.chats, verbose=False)["input_ids"] for p in prompts
        ]
        room = [self.translates or len(c) + n <= self.longest for c, n in zip(coded, limits, strict=True)]
        fit = [i for i, fits in enumerate(room) if fits]
        replies = [Reply("", False)] * len(tasks)
        if fit:
            made = self._generate([coded[i] for i in fit], [tasks[i] for i in fit], [limits[i] for i in fit])
            for i, reply in zip(fit, made, strict=True):
                replies[i] = reply
        return replies

    def _prompt(self, task: Task) -> str:
        if self.chats:
            turn = [{"role": "user", "content": task.prompt.of(task.text)}]
            return str(self.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
        # A reply ends with its line, so the text must be one line too.
        return task.prompt.of(" ".join(task.text.split()) if self.by_line else task.text)

    def _generate(
        self, coded: Sequence[list[int]], tasks: Sequence[Task], limits: Sequence[int]
    ) -> list[Reply]:
        import transformers

        batch = self.tokenizer.pad({"input_ids": list(coded)}, return_tensors="pt").to(self.device)
        start = 1 if self.translates else batch["input_ids"].shape[1]
        numbers = torch.tensor([task.number for task in tasks], device=self.device)
        noise = GumbelNoise(numbers, start, self.sampling.temperature, self.sampling.top_p)
        settings = transformers.GenerationConfig(
            do_sample=False,  # the noise makes the draw
            num_beams=1,
            max_new_tokens=max(limits),
            eos_token_id=self.ends,
            pad_token_id=self.tokenizer.pad_token_id,
            decoder_start_token_id=self.network.generation_config.decoder_start_token_id,
        )
        with torch.no_grad():
            out = self.network.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                generation_config=settings,
                logits_processor=transformers.LogitsProcessorList([noise]),
                stopping_criteria=transformers.StoppingCriteriaList([self._over(start, limits)]),
            )
        return [
            self._reply(row[start:].tolist(), limit) for row, limit in zip(out.cpu(), limits, strict=True)
        ]

    def _over(self, start: int, limits: Sequence[int]) -> Callable[..., torch.Tensor]:
        """Stops a row at its own limit, or where its line ends."""
        most = torch.tensor(limits, device=self.device)
        over, begun = (torch.zeros(len(limits), dtype=torch.bool, device=self.device) for _ in range(2))

        def check(input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            nonlocal over, begun
            over = over | (input_ids.shape[1] - start >= most)
            if self.by_line:  # a line that is empty so far has not begun
                last = self.tokenizer.batch_decode(input_ids[:, -1:])
                begun = begun | torch.tensor([bool(t.strip()) for t in last], device=over.device)
                over = over | (begun & torch.tensor(["\n" in t for t in last], device=over.device))
            return over

        return check

    def _reply(self, tokens: list[int], limit: int) -> Reply:
        kept, finished = tokens[:limit], False
        for place, token in enumerate(kept):
            if token in self.ends:
                kept, finished = kept[:place], True
                break
        text = str(self.tokenizer.decode(kept, skip_special_tokens=True)).strip()
        if self.by_line and "\n" in text:
            text, finished = text.partition("\n")[0].strip(), True
        return Reply(text, finished)
