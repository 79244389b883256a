"""The WILDS benchmarks of texts: CivilComments and Amazon."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tether.data.rows import Columns, Rows
from tether.data.table import open_table
from tether.data.wilds_table import number, read_columns, roles, set_name
from tether.errors import RequestError

IDENTITIES = ("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white")


def civilcomments(root: Path) -> Rows:
    """Toxic or not; all_data_with_identities.csv with comment_text, toxicity, split and eight identities.

    A share of 0.5 or more of the raters makes a comment toxic, or about an identity. The published splits are
    random (train, val, test): they are ID sets, and the shift is in the subgroups. These overlap, so they are
    `Examples.members`; the benchmark's 16 groups are these eight times the two labels.
    """
    path = root / "all_data_with_identities.csv"
    t = read_columns(path, ("toxicity", "split", *IDENTITIES))
    table, stamp = open_table(path, ["comment_text"])
    splits = roles(path, t["split"], {"train": "train", "val": "id_val", "test": "id_test"})
    toxic = [number(path, row, "toxicity", y) >= 0.5 for row, y in enumerate(t["toxicity"])]
    members = np.array(
        [[number(path, row, name, v) >= 0.5 for row, v in enumerate(t[name])] for name in IDENTITIES]
    ).T
    return Rows(
        dataset=table,
        root=root,
        where=str(path),
        columns=Columns(label="label", text="comment_text", split="split"),
        made={"label": [("non-toxic", "toxic")[y] for y in toxic], "split": splits},
        classes=("non-toxic", "toxic"),
        completes=True,
        published=True,
        members=(IDENTITIES, members),
        stamp=stamp,
    )


def amazon(root: Path) -> Rows:
    """Stars of reviews by user; reviews.csv with reviewText, overall, reviewerID, and splits/user.csv.

    The codes there are 0 train, 1 OOD validation, 2 ID validation, 3 OOD test, 4 ID test, -1 unused, in the
    order of the reviews.
    """
    path, codes = root / "reviews.csv", root / "splits" / "user.csv"
    t = read_columns(path, ("overall", "reviewerID"))
    table, stamp = open_table(path, ["reviewText"])
    names = {0: "train", 1: "ood_val", 2: "id_val", 3: "ood_test", 4: "id_test", -1: ""}
    given = [
        int(number(codes, row, "split", v)) for row, v in enumerate(read_columns(codes, ("split",))["split"])
    ]
    splits = roles(codes, given, names)
    if len(splits) != len(table):
        raise RequestError(
            f"{codes}: expected a row for each of the {len(table)} reviews, came {len(splits)}"
        )
    made = {
        "label": [str(int(number(path, row, "overall", y))) for row, y in enumerate(t["overall"])],
        "split": splits,
        "domain": [set_name(split, "users") for split in splits],
        "subgroup": t["reviewerID"],
    }
    return Rows(
        dataset=table,
        root=root,
        where=str(path),
        columns=Columns("label", text="reviewText", split="split", domain="domain", subgroup="subgroup"),
        made=made,
        classes=("1", "2", "3", "4", "5"),
        completes=True,
        published=True,
        stamp=stamp,
    )
