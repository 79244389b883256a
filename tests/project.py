"""A whole tiny project on disk: a random text encoder, a table with two domains, a config."""

from __future__ import annotations

from pathlib import Path

import yaml

from tiny import tiny_bert

GOOD = ("a good film", "very fine day", "it was fine", "good , very good", "the day is fine")
BAD = ("a bad film", "very poor day", "it was poor", "bad , very bad", "the day is poor")


def rows(split: str, domain: str, n: int) -> list[dict[str, str]]:
    found = []
    for i in range(n):
        pool, label = (GOOD, "yes") if i % 2 else (BAD, "no")
        # A running number keeps every text its own, so that no split holds another's row.
        found.append(
            {"text": f"{pool[i % 5]} {domain}{split}{i}", "label": label, "domain": domain, "split": split}
        )
    return found


def write_table(path: Path, data: list[dict[str, str]]) -> Path:
    lines = ["text,label,domain,split"]
    lines += [f'"{r["text"]}",{r["label"]},{r["domain"]},{r["split"]}' for r in data]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def all_rows() -> list[dict[str, str]]:
    return [
        *rows("train", "web", 64),
        *rows("id_val", "web", 24),
        *rows("id_test", "web", 24),
        *rows("ood_val", "mail", 24),
        *rows("ood_test", "press", 24),
    ]


def make_project(folder: Path, **changes: object) -> Path:
    """Write everything and return the config's path."""
    tiny_bert(folder / "bert")
    write_table(folder / "data.csv", all_rows())
    config = {
        "model": {"name": str(folder / "bert"), "max_length": 16},
        "data": {
            "source": "table",
            "path": str(folder / "data.csv"),
            "text": "text",
            "label": "label",
            "domain": "domain",
            "split": "split",
        },
        "method": "rdft",
        "train": {"steps": 6, "batch_size": 16, "checkpoint_every": 2},
        "evaluate": {"severities": [3], "shifts": ["typos"]},
        "output": str(folder / "run"),
        **changes,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
