"""The WILDS benchmarks of pictures: Camelyon17, FMoW, iWildCam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tether.data.refuse import refuse_outside
from tether.data.rows import Columns, Rows
from tether.data.times import read_times, seconds
from tether.data.wilds_table import ROLES, number, read_columns, roles, set_name


def camelyon17(root: Path) -> Rows:
    """Tumour or not, by hospital; metadata.csv with patient, node, x_coord, y_coord, tumor, center, split.

    Split 0 is train and 1 id_val; whatever they say, hospital 1 is OOD validation and hospital 2 OOD test.
    There is no published ID test: half of id_val becomes it, so that train stays the published one.
    """
    path = root / "metadata.csv"
    t = read_columns(path, ("patient", "node", "x_coord", "y_coord", "tumor", "center", "split"))
    names, splits, domains = [], [], []
    for row in range(len(t["patient"])):
        patient, node = str(t["patient"][row]).zfill(3), t["node"][row]
        names.append(
            f"patches/patient_{patient}_node_{node}/patch_patient_{patient}_node_{node}"
            f"_x_{t['x_coord'][row]}_y_{t['y_coord'][row]}.png"
        )
        center = int(number(path, row, "center", t["center"][row]))
        inside = {0: "train", 1: "id_val"}.get(int(number(path, row, "split", t["split"][row])), "")
        splits.append({1: "ood_val", 2: "ood_test"}.get(center, inside))
        domains.append(f"hospital {center}")
    labels = [("normal", "tumor")[int(number(path, row, "tumor", y))] for row, y in enumerate(t["tumor"])]
    made = {"label": labels, "split": splits, "domain": domains, "subgroup": domains}
    return _pictures(root, path, names, made, classes=("normal", "tumor"))


def fmow(root: Path) -> Rows:
    """Land use by satellite; rgb_metadata.csv with split, category, timestamp, country_code.

    A row's picture is images/rgb_img_<row>.png, counted over all rows, the sequestered ones ("seq") too. Test
    rows from 2016 on are OOD test, val rows from 2013 to 2015 OOD validation; ID sets end with 2012. Rows of
    any other combination are in no set. The region comes from country_code_mapping.csv (alpha-3, region).
    """
    path = root / "rgb_metadata.csv"
    t = read_columns(path, ("split", "category", "timestamp", "country_code"))
    countries = read_columns(root / "country_code_mapping.csv", ("alpha-3", "region"))
    region = dict(zip(countries["alpha-3"], countries["region"], strict=True))
    times = read_times(str(path), "timestamp", t["timestamp"])
    period = np.searchsorted([seconds("2013-01-01"), seconds("2016-01-01")], times, side="right")
    by_period = (
        {"train": "train", "val": "id_val", "test": "id_test"},
        {"val": "ood_val"},
        {"test": "ood_test"},
    )
    splits = [by_period[p].get(split, "") for p, split in zip(period, t["split"], strict=True)]
    made = {
        "label": t["category"],
        "split": splits,
        "domain": [("until 2012", "2013 to 2015", "from 2016")[p] for p in period],
        "subgroup": [region.get(code) or "Other" for code in t["country_code"]],
    }
    names = [f"images/rgb_img_{row}.png" for row in range(len(splits))]
    return _pictures(root, path, names, made, classes=tuple(sorted(set(t["category"]))))


def iwildcam(root: Path) -> Rows:
    """Animals by camera trap; metadata.csv with split, y, location_remapped, filename (below train/).

    Class names come from categories.csv where it has y and name, else they are the numbers y.
    """
    path = root / "metadata.csv"
    t = read_columns(path, ("split", "y", "location_remapped", "filename"))
    splits = roles(path, t["split"], ROLES)
    ys = [int(number(path, row, "y", y)) for row, y in enumerate(t["y"])]
    names = {y: str(y) for y in ys}
    if (root / "categories.csv").is_file():
        with (root / "categories.csv").open(encoding="utf-8-sig") as f:
            header = f.readline().strip().split(",")
        if {"y", "name"} <= set(header):
            known = read_columns(root / "categories.csv", ("y", "name"))
            said = {int(y): name for y, name in zip(known["y"], known["name"], strict=True) if y.isdigit()}
            # Two numbers of one name would become one class.
            names |= {y: said[y] for y in names if y in said} if len(set(said.values())) == len(said) else {}
    made = {
        "label": [names[y] for y in ys],
        "split": splits,
        "domain": [set_name(split, "cameras") for split in splits],
        "subgroup": [f"camera {x}" for x in t["location_remapped"]],
    }
    files = [f"train/{name}" for name in t["filename"]]
    return _pictures(root, path, files, made, classes=tuple(names[y] for y in sorted(names)))


def _pictures(root: Path, table: Path, names: list[str], made: dict[str, list[str]], **more: Any) -> Rows:
    import datasets
    import pyarrow as pa

    for row, name in enumerate(names):
        refuse_outside(str(table), row, name)
    return Rows(
        dataset=datasets.Dataset(pa.table({"image": pa.array(names, pa.string())})),
        root=root,
        where=str(table),
        columns=Columns(label="label", image="image", split="split", domain="domain", subgroup="subgroup"),
        made=made,
        completes=True,
        published=True,
        **more,
    )
