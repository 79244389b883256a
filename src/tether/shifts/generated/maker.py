"""`generated`: a training text's view is a rewrite of it by a language model."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from tether.batch import Batch
from tether.data import Examples
from tether.errors import RequestError
from tether.progress import say
from tether.shifts.draws import Draws
from tether.shifts.generated.acceptance import Similarity
from tether.shifts.generated.endpoint import Endpoint, checked_address
from tether.shifts.generated.language_model import LanguageModel, model_id
from tether.shifts.generated.prompts import DEFAULT, prompts_of
from tether.shifts.generated.rewrites import planned, rewrites
from tether.shifts.generated.similarity import LEAST_COSINE, Encoded, Overlap, encoder_id, refuse_initial
from tether.shifts.generated.store import Store
from tether.shifts.generated.writer import Sampling, Writer
from tether.shifts.maker import Maker
from tether.shifts.places import places
from tether.shifts.rank_band import ranked
from tether.shifts.recipe import Recipe
from tether.shifts.shift import Shift, modality_in
from tether.shifts.supplies import Supplies

_SUMMARY = "rewritten by a language model in another style, with the meaning filtered"
_ASKED = 16  # texts by which the encoder is told from M_0


def generated(
    model: str,
    revision: str | None = None,
    base_url: str | None = None,
    key_env: str | None = None,
    attributes: Sequence[str] = DEFAULT,
    prompts: Mapping[str, str] | None = None,
    per_text: int = 2,
    limit: int | None = None,
    encoder: str | None = None,
    similarity: float = LEAST_COSINE,
    temperature: float = 0.8,
    top_p: float = 0.9,
    seed: int = 0,
    batch_size: int = 16,
    timeout: float = 60.0,
    parallel: int = 4,
) -> Recipe:
    """Rewrites of the training texts (METHODS 5.3), made before training and kept.

    A text without an accepted rewrite stays as it is; the number is said when the shift is built. Severity is
    a band of ranks among a text's rewrites by edit ratio: 1 the less changed half, 5 the more changed half.

    Args:
        model: a folder or hub name of transformers, or with `base_url` what the server calls it.
        revision: of the hub model.
        base_url: of an OpenAI-compatible server, without /chat/completions; the training texts go there.
        key_env: the environment variable that holds the server's key.
        attributes: what texts are rewritten as; see `generated.prompts.ATTRIBUTES`.
        prompts: attributes of one's own, name -> words, or a template with {text}.
        per_text: rewrites a text, each by another attribute, drawn for it; no more than there are attributes.
        limit: at most so many training texts are rewritten.
        encoder: judges the meaning; not the model that is tuned. Without one a stand-in compares letters.
        similarity: cosine that a rewrite must have to its text under the encoder.
        temperature: of the sampling.
        top_p: of the sampling.
        seed: of the sampling; not the run's, so that runs share their rewrites.
        batch_size: texts at once.
        timeout: seconds for a server's answer.
        parallel: requests to a server at once.

    Raises:
        RequestError: an option out of its range. From `build`: no texts, a back end that fails, an
            encoder that is the tuned model, or less than 30% of the rewrites accepted.

    Example:
        >>> generated("Qwen/Qwen2.5-1.5B-Instruct", encoder="minilm-l3").family
        'generated'
    """
    asked = prompts_of(attributes, prompts)
    ranges = {
        "per_text": (per_text, 1, 1000), "limit": (1 if limit is None else limit, 1, 10**9),
        "top_p": (top_p, 0.01, 1.0), "temperature": (temperature, 0.01, 5.0),
        "similarity": (similarity, -1.0, 1.0), "batch_size": (batch_size, 1, 10_000),
        "parallel": (parallel, 1, 256), "timeout": (timeout, 0.1, 3600.0),
    }  # fmt: skip
    for key, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise RequestError(f"shift.{key}: generated expects {low} to {high}, got {value}; choose one")
    sampling = Sampling(temperature, top_p, seed)
    if base_url is not None:
        base_url = checked_address(base_url, key_env)
    elif key_env is not None:
        raise RequestError("shift.key_env: only a server takes a key; give its base_url, or leave it out")

    def build(supplies: Supplies) -> Shift:
        if modality_in(supplies.train) != "text":
            raise RequestError("generated: expected texts, the data are images; use it for texts")
        known = model_id(model, revision) if base_url is None else f"{base_url}|{model}"
        tasks = planned(supplies.train, asked, per_text, limit, known, sampling)

        def writer() -> Writer:
            if base_url is None:
                return LanguageModel(model, revision, sampling, supplies.device)
            host = urllib.parse.urlsplit(base_url).hostname
            say(f"note: generated: the training texts are sent to {host} to be rewritten")
            return Endpoint(base_url, model, key_env, sampling, timeout, parallel)

        def alike() -> Similarity:
            texts = [str(t) for t in supplies.train.batch(range(min(_ASKED, len(supplies.train)))).x]
            if encoder is None:
                return Overlap(_all_texts(supplies.train))
            found = Encoded(encoder, supplies.device, similarity)
            refuse_initial(found, supplies.embed, texts)
            return found

        if encoder is None:
            say(
                "note: generated: no encoder was given, so the meaning of the rewrites was not compared; a "
                "weak stand-in, shared letter triples, refuses only what is about something else"
            )
        judge = f"{encoder_id(encoder)} {similarity if encoder else ''} {supplies.fingerprint}"
        found = rewrites(tasks, Store(known), writer, alike, judge, batch_size)
        say(f"generated: {found.said}")
        return Shift(
            "generated", "generated", "text", _SUMMARY, shown(found.texts, supplies.train), default=False
        )

    return Recipe("generated", "generated", "text", _SUMMARY, build)


def shown(texts: Sequence[Sequence[str]], train: Examples) -> Callable[[Batch, int, Draws], Batch]:
    """(batch, severity, draws) -> the batch with each text replaced by one of its rewrites."""
    counts = torch.tensor([len(t) for t in texts])
    where = places(train, "generated")

    def apply(batch: Batch, severity: int, draws: Draws) -> Batch:
        at = where(batch.ids)
        rank = ranked(severity, draws.uniform(batch.ids.cpu(), (), "rewrite"), counts[at].clamp(min=1))
        x = tuple(
            texts[i][k] if texts[i] else str(own)
            for i, k, own in zip(at.tolist(), rank.tolist(), batch.x, strict=True)
        )
        return replace(batch, x=x)

    return apply


def _all_texts(train: Examples) -> list[str]:
    return [
        str(t)
        for start in range(0, len(train), 1024)
        for t in train.batch(range(start, min(start + 1024, len(train)))).x
    ]


MAKERS = (Maker("generated", "generated", "text", _SUMMARY, generated),)
