"""`tether shifts preview`: every shift on the user's own samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tether import shifts
from tether.batch import Batch
from tether.config import load_config, presets
from tether.data.inputs import read_inputs
from tether.errors import RequestError
from tether.models.load import load_backbone
from tether.models.model import Model
from tether.progress import bar
from tether.report.sheet import Panel, write_sheet
from tether.scene import ingredients, start
from tether.shifts import AnyShift, Attack, Draws, Maker, Ready, Shift, Supplies
from tether.supply import supplies_of

SIDE = 128  # of pictures given as files
Entry = AnyShift | Maker


def preview(
    data: str,
    output: str | Path,
    only: Sequence[Any] | None = None,
    samples: int = 3,
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    overrides: Sequence[str] = (),
) -> Path:
    """Write a sheet with every shift of the data's modality on a few samples.

    Args:
        data: a preset, a config's path, or files as for `tether predict`. Shifts that are built from
            training data or made against a model need a config; with files they are listed as not shown.
        output: the HTML file.
        only: shifts by name or as {name: ..., options}; None takes all.
        samples: how many.
        severities: the columns, beside the sample itself.
        overrides: "key=value" for a config.

    Raises:
        RequestError: no such data, no such shift, or a severity out of range.

    Example:
        >>> preview("digits", "sheet.html", only=["typos"])  # doctest: +SKIP
        Traceback (most recent call last):
        tether.errors.RequestError: shifts: expected shifts of images, got typos (text); ...
    """
    if samples < 1:
        raise RequestError(f"samples: expected at least 1, got {samples}")
    for severity in severities:
        shifts.check_severity("severities", severity)
    batch, scene = _samples(data, samples, overrides)
    modality = shifts.modality_of(batch)
    entries = _asked(only, modality)
    levels = (0, *dict.fromkeys(s for s in severities if s))
    panels = []
    with bar("shifts", len(entries)) as progress:
        for entry in entries:
            panels.append(_panel(entry, batch, levels, scene))
            progress.advance()
    chosen = "" if only is None else " --shifts " + ",".join(e.name for e in entries)
    levels_said = ",".join(str(s) for s in levels[1:])
    command = " ".join(["tether shifts preview", data, *overrides, f"-o {output}"])
    command += f"{chosen} --samples {samples} --severities {levels_said}"
    return write_sheet(panels, Path(output), f"Shifts on {Path(data).name}", command)


Scene = tuple[Supplies, Callable[[], Model]]


def _samples(data: str, count: int, overrides: Sequence[str]) -> tuple[Batch, Scene | None]:
    """Samples, and what the dearer shifts are built from where a config says."""
    if data in presets() or data.endswith((".yaml", ".yml")):
        config = load_config(data, overrides)
        bundle, engine, loaded = ingredients(config)
        # ID validation: a preview may be looked at while choosing, so it shows no test sample.
        rows = [i * len(bundle.id_val) // count for i in range(min(count, len(bundle.id_val)))]

        @cache
        def model() -> Model:  # of its own backbone: the supplies' teacher has another
            made = start("probe", load_backbone(config.model), bundle, config.seed, engine)
            return made.to(engine.device).eval()

        return bundle.id_val.batch(rows), (supplies_of(config, bundle, engine, loaded), model)
    inputs = read_inputs([data], None, SIDE)
    return inputs.batch(range(min(count, len(inputs)))), None


def _asked(only: Sequence[Any] | None, modality: str) -> list[Entry]:
    """The shifts to show, families together."""
    if only is None:
        order = {"test": 0, "val": 1, "train": 2, None: 3}
        mine = [e for e in shifts.catalogue() if e.modality in (modality, None)]
        return sorted(mine, key=lambda e: (order[shifts.role_of(e)], e.family))
    found = [shifts.get(s) for s in only]
    if wrong := [f"{s.name} ({s.modality})" for s in found if s.modality not in (modality, None)]:
        raise RequestError(
            f"shifts: expected shifts of {modality}s, got {', '.join(wrong)}; see `tether list shifts`"
        )
    return list(found)


def _panel(entry: Entry, batch: Batch, levels: tuple[int, ...], scene: Scene | None) -> Panel:
    about = f"family {entry.family}, {shifts.role_of(entry) or 'any role'}"
    try:
        shift = _built(shifts.get(entry.name) if isinstance(entry, Maker) else entry, scene)
        views = tuple(_view(shift, batch, level, scene).x for level in levels)
    except RequestError as e:  # an option that only the user can give, or a shift that needs a config
        return Panel(entry.name, about, entry.summary, skipped=str(e))
    return Panel(entry.name, about, entry.summary, levels, views)


def _built(shift: AnyShift, scene: Scene | None) -> Ready:
    if isinstance(shift, Shift):
        return shift
    if scene is None:
        raise RequestError("it is built from training data or made against a model; preview a config")
    return shift.prepared(scene[0])


def _view(shift: Ready, batch: Batch, level: int, scene: Scene | None) -> Batch:
    if not isinstance(shift, Attack):
        return shift(batch, level, Draws(0))
    assert scene is not None  # an attack was built with one
    supplies, model = scene
    teachers = {"initial": supplies.teacher("initial")}
    with torch.no_grad():
        out = shift.at(level)(batch.to(supplies.device), model(), teachers, Draws(0))
    if out.space != "raw":
        raise RequestError("it changes a model's embeddings, which cannot be read by people")
    return out.to("cpu")
