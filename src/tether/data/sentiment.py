"""The sentiment benchmark: tweets for training, reviews and editorials as domains never seen."""

from __future__ import annotations

import html
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tether.data.packages import VADER, fetch
from tether.data.stratify import stratified
from tether.errors import RequestError

PACKAGES = (VADER,)
SEED = 0  # the recipe's own: every table built anywhere is the same
PARTS = {"train": 2400, "id_val": 400}  # of the tweets; the rest is id_test
NEUTRAL = 0.5  # a mean rating nearer to 0 than this (scale -4..4) is no opinion
FILES = {
    "tweets": "tweets",
    "amazon": "amazonReviewSnippets",
    "movie": "movieReviewSnippets",
    "nyt": "nytEditorialSnippets",
}
OOD = {"amazon": "ood_val", "movie": "ood_test", "nyt": "ood_test"}


def build() -> dict[str, list[Any]]:
    """Columns text, label, split, domain, document; the domains are whole, limits are the config's.

    Source: Hutto and Gilbert, VADER, ICWSM 2014; ratings are means over raters.
    """
    folder = fetch(VADER) / f"{VADER.name}-{VADER.version}" / "additional_resources"
    columns: dict[str, list[Any]] = {key: [] for key in ("text", "label", "split", "domain", "document")}
    for domain, lines in _files(folder / "hutto_ICWSM_2014.tar.gz").items():
        rows = list(_rows(domain, lines))
        columns["text"] += [text for _, _, text in rows]
        columns["label"] += [label for _, label, _ in rows]
        columns["document"] += [document for document, _, _ in rows]
        columns["domain"] += [domain] * len(rows)
        columns["split"] += [OOD[domain]] * len(rows) if domain in OOD else _parts([r[1] for r in rows])
    return columns


def _files(archive: Path) -> dict[str, list[str]]:
    """Lines of each domain's file; read out of the inner archive by name, nothing is unpacked to disk."""
    with tarfile.open(archive) as tar:
        found = {}
        for domain, stem in FILES.items():
            member = tar.extractfile(f"hutto_ICWSM_2014/{stem}_GroundTruth.txt")
            if member is None:
                raise RequestError(f"{archive}: expected {stem}_GroundTruth.txt to be a file; fetch it again")
            # Only \n ends a line: str.splitlines would also break at the odd separators inside a text.
            found[domain] = list(io.TextIOWrapper(member, encoding="utf-8", newline="\n"))
    return found


def _rows(domain: str, lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Document, label, text of each line that has an opinion."""
    for line in lines:
        number, rating, text = line.rstrip("\r\n").split("\t", 2)
        if abs(float(rating)) >= NEUTRAL:
            # Amazon and nyt number a snippet document_snippet; elsewhere each text stands alone.
            document = f"{domain}/{number.partition('_')[0]}"
            yield document, "positive" if float(rating) > 0 else "negative", html.unescape(text).strip()


def _parts(labels: list[str]) -> list[str]:
    codes = np.array([label == "positive" for label in labels], dtype=np.int64)
    split = np.full(len(codes), "id_test", dtype=object)
    rng = np.random.default_rng(SEED)
    rest = np.arange(len(codes))
    for name, n in PARTS.items():
        drawn = rest[stratified(codes[rest], n, rng)]
        split[drawn] = name
        rest = np.setdiff1d(rest, drawn)
    return [str(s) for s in split]
