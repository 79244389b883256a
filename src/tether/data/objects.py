"""Data that Python already holds: texts, pictures, arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tether.data.bundle import DataBundle
from tether.data.config import DataConfig
from tether.data.load import assemble
from tether.data.rows import Columns, Rows
from tether.errors import RequestError
from tether.progress import bar

Pair = tuple[Sequence[Any], Sequence[Any]]


def from_objects(
    train: Pair,
    id_val: Pair | None = None,
    id_test: Pair | None = None,
    ood_val: Mapping[str, Pair] | None = None,
    ood_test: Mapping[str, Pair] | None = None,
    classes: Sequence[str] | None = None,
    name: str = "objects",
    **choices: Any,
) -> DataBundle:
    """Make a DataBundle of (samples, labels) pairs.

    Pictures are kept as PNG, 8 bits a channel, so float pixels are rounded to a 255th.

    Args:
        train: samples and labels. A sample is a string, a PIL picture, a uint8 array (H, W) or (H, W, 3), or
            float pixels in [0, 1], (3, H, W), as an array or a tensor; all of one kind. A label is a class
            name or an integer.
        id_val: drawn from train where it is missing.
        id_test: the half of id_val, or drawn from train, where it is missing.
        ood_val: held-out domains that may steer choices, by name.
        ood_test: held-out domains that may steer nothing, by name; none of `ood_val`.
        classes: class names in order, by default sorted. Integer labels are positions in it.
        name: of the bundle.
        choices: keys that any source takes: size, limit, on_error, seed, shifts, and fractions.

    Raises:
        RequestError: at a sample that is none of these, with its set and row, or at samples without labels.

    Example:
        >>> bundle = from_objects((["good", "bad", "fine", "poor"] * 5, [1, 0, 1, 0] * 5))
        >>> len(bundle.train), bundle.classes
        (14, ('0', '1'))
    """
    given = {"train": train, "id_val": id_val, "id_test": id_test}
    sets = {key: pair for key, pair in given.items() if pair is not None}
    sets |= {f"ood_val/{domain}": pair for domain, pair in (ood_val or {}).items()}
    sets |= {f"ood_test/{domain}": pair for domain, pair in (ood_test or {}).items()}
    samples: list[str | bytes] = []
    made: dict[str, list[str]] = {"label": [], "split": [], "domain": []}
    with bar("reading the objects", sum(len(xs) for xs, _ in sets.values())) as progress:
        for key, (xs, ys) in sets.items():
            if len(xs) != len(ys):
                raise RequestError(f"{key}: expected a label for each sample, came {len(xs)} and {len(ys)}")
            for row, x in enumerate(xs):
                samples.append(stored(f"{key}, row {row}", x))
                progress.advance()
            split, _, domain = key.partition("/")
            made["split"] += [split] * len(xs)
            made["domain"] += [domain or "id"] * len(xs)
            made["label"] += [_label(f"{key}, row {row}", y, classes) for row, y in enumerate(ys)]
    if not samples:
        raise RequestError("train: expected samples, there are none")
    kinds = {type(sample) for sample in samples}
    if len(kinds) > 1:
        raise RequestError("expected texts or pictures, came both; make a bundle of each")
    config = DataConfig(source="objects", classes=None if classes is None else tuple(classes), **choices)
    return assemble(name, _rows(name, samples, made), config)


def _rows(name: str, samples: list[str | bytes], made: dict[str, list[str]]) -> Rows:
    import datasets
    import pyarrow as pa

    text = isinstance(samples[0], str)
    column = pa.array(samples, pa.string() if text else pa.large_binary())
    return Rows(
        dataset=datasets.Dataset(pa.table({"x": column})),
        root=Path(),
        where=name,
        columns=Columns(
            label="label",
            text="x" if text else None,
            image=None if text else "x",
            split="split",
            domain="domain" if len(set(made["domain"])) > 1 else None,
        ),
        made=made,
        completes=True,
    )


def stored(where: str, x: Any) -> str | bytes:
    """One sample as a table holds it: the string, or a picture as the bytes of a PNG.

    Raises:
        RequestError: when it is neither.
    """
    if isinstance(x, str):
        return x
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu().numpy()
    if isinstance(x, np.ndarray):
        x = _picture(where, x)
    if not isinstance(x, Image.Image):
        raise RequestError(
            f"{where}: expected a string, a PIL picture, a uint8 array (H, W) or (H, W, 3), or float pixels "
            f"(3, H, W), came a {type(x).__name__}"
        )
    file = io.BytesIO()
    try:
        x.save(file, format="PNG", compress_level=1)
    except (OSError, ValueError) as e:
        raise RequestError(f"{where}: the picture cannot be kept as PNG ({e}); convert it to RGB") from e
    return file.getvalue()


def _picture(where: str, x: Any) -> Image.Image:
    if x.dtype == np.uint8 and (x.ndim == 2 or (x.ndim == 3 and x.shape[2] in (3, 4))):
        return Image.fromarray(x)
    if np.issubdtype(x.dtype, np.floating) and x.ndim == 3 and x.shape[0] == 3:
        if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
            raise RequestError(
                f"{where}: expected float pixels in [0, 1]; undo the normalisation, it is the model's"
            )
        return Image.fromarray((x * 255).round().astype(np.uint8).transpose(1, 2, 0))
    raise RequestError(
        f"{where}: expected uint8 (H, W) or (H, W, 3), or floats (3, H, W), came {x.dtype} {tuple(x.shape)}"
    )


def _label(where: str, y: Any, classes: Sequence[str] | None) -> str:
    if isinstance(y, (torch.Tensor, np.generic)):
        y = y.item()
    if isinstance(y, int) and not isinstance(y, bool) and classes is not None:
        if not 0 <= y < len(classes):
            raise RequestError(f"{where}: expected a label from 0 to {len(classes) - 1}, came {y}")
        return classes[y]
    if isinstance(y, (str, int)) and str(y).strip():
        return str(y).strip()
    raise RequestError(f"{where}: expected a class name or an integer as label, came {y!r}")
