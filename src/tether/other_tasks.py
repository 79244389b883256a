"""`tether transfer RUN DATA ...`: what tuning did to the features on other data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tether.config import Config, load_config
from tether.data import DataBundle, load_data
from tether.errors import RequestError
from tether.evaluation.statistics import Interval
from tether.evaluation.suite import first
from tether.evaluation.transfer import KNN, NEIGHBOURS, PROBE, Features, Transfer, extract, transferred
from tether.files import read_json, write_json
from tether.folder import written_config
from tether.models.config import ModelConfig
from tether.models.load import load_backbone
from tether.models.loaded import Loaded
from tether.progress import bar, say
from tether.shifts import modality_in
from tether.training import Engine

FILE = "transfer.json"


def transfer(
    run: str | Path, data: Sequence[str | Path | Mapping[str, Any]], limit: int | None = None
) -> dict[str, Any]:
    """Linear probe and kNN on other data, with the run's features and with the initial model's.

    Both models are loaded as their own library does, heads aside. The result goes into `transfer.json` of the
    run's folder, beside what is there already; data that were measured before are found, not repeated.

    Args:
        run: the folder of a finished training run.
        data: presets or configs' paths or mappings, of which the `data:` part counts. Their `train`, `id_val`
            and `id_test` are used: to fit, to choose the probe's strength, to score.
        limit: at most so many samples of each set, evenly spread.

    Returns:
        Data name -> {"probe": ..., "knn": ..., "classes", "train", "test"}, in the given order.

    Raises:
        RequestError: no finished run, or data of another kind than the model reads.

    Example:
        >>> import tether
        >>> tether.transfer("runs/digits-rdft_s0", ["emoji"])["emoji"]["knn"]["change"]  # doctest: +SKIP
        {'value': -0.012, 'low': -0.031, 'high': 0.006}
    """
    folder = Path(run)
    if not data:
        raise RequestError("transfer: expected at least one data set, such as a preset's name")
    if limit is not None and limit < 2:
        raise RequestError(f"transfer: expected a limit of 2 samples or more, got {limit}")
    config = written_config(folder)
    if not (folder / "summary.json").is_file() or not (folder / "model").is_dir():
        raise RequestError(
            f"transfer: expected a finished training run with its model, {folder} has none; finish it first"
        )
    asked = {name: load_config(part) for name, part in _named(data).items()}
    kept = read_json(folder / FILE) if (folder / FILE).is_file() else {}
    models = _models(folder, config)
    engine = Engine(config.train.precision)
    with bar("transfer", len(asked)) as progress:
        for name, other in asked.items():
            progress.note(f"transfer: {name}")
            bundle = _fitting(name, load_data(other.data), folder)
            key = _key(models, bundle, limit)
            if kept.get(name, {}).get("key") == key:
                say(f"{name} is measured already; its results are used")
            else:
                kept[name] = {"key": key, **_measured(models, bundle, limit, engine, config)}
                write_json(folder / FILE, kept)
            progress.advance()
    return {name: kept[name] for name in asked}


def _named(data: Sequence[str | Path | Mapping[str, Any]]) -> dict[str, Any]:
    """A name for each: the preset's, the file's stem; a number for a mapping without either."""
    found: dict[str, Any] = {}
    for i, one in enumerate(data):
        name = Path(str(one)).stem if isinstance(one, str | Path) else f"data-{i}"
        if name in found:
            raise RequestError(
                f"transfer: expected data of different names, {name} came twice; rename a file"
            )
        found[name] = one if isinstance(one, Mapping) else str(one)
    return found


def _models(folder: Path, config: Config) -> tuple[Loaded, Loaded]:
    """The initial model and the run's, read alike; the head is of no interest."""
    reading = {**config.model.model_dump(), "head": "auto", "map": None}
    tuned = {**reading, "name": str(folder), "source": "auto", "revision": None}
    return load_backbone(ModelConfig(**reading)), load_backbone(ModelConfig(**tuned))


def _fitting(name: str, bundle: DataBundle, folder: Path) -> DataBundle:
    """The data with pictures at the size that the run's own had; texts do not care.

    Raises:
        RequestError: pictures for a run on texts, or the other way round.
    """
    size = read_json(folder / "data.json")["picture_size"]  # null where the run read texts
    mine, theirs = "text" if size is None else "image", modality_in(bundle.train)
    if mine != theirs:
        raise RequestError(f"transfer: {folder} was trained on {mine}s, {name} has {theirs}s")
    return bundle if size is None else bundle.at(size)


def _measured(
    models: tuple[Loaded, Loaded], bundle: DataBundle, limit: int | None, engine: Engine, config: Config
) -> dict[str, Any]:
    sets = [first(s, limit) for s in (bundle.train, bundle.id_val, bundle.id_test)]
    size = config.evaluate.batch_size
    with bar("features", 2 * sum(map(len, sets))) as progress:

        def features(loaded: Loaded) -> Features:
            loaded.backbone.to(engine.device)
            return Features(*(extract(loaded.backbone, s, engine, size, progress.advance) for s in sets))

        before, after = (features(loaded) for loaded in models)
    with bar("probes", 1):
        ways = transferred(before, after, len(bundle.classes))
    about = {"classes": len(bundle.classes), "train": len(sets[0]), "test": len(sets[2])}
    return {**about, "neighbours": NEIGHBOURS, **{way: _plain(result) for way, result in ways.items()}}


def _key(models: tuple[Loaded, Loaded], bundle: DataBundle, limit: int | None) -> str:
    parts = [*(m.fingerprint for m in models), bundle.fingerprint, limit, NEIGHBOURS]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _plain(result: Transfer) -> dict[str, Any]:
    def interval(x: Interval) -> dict[str, float]:
        return {"value": x.value, "low": x.low, "high": x.high}

    return {
        "before": interval(result.before),
        "after": interval(result.after),
        "change": interval(result.change),
        "inside_noise": not result.change.excludes_zero,
    }


WAYS = {PROBE: "linear probe", KNN: f"{NEIGHBOURS} nearest neighbours"}
