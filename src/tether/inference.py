"""Labels and probabilities for new samples, from a run or any saved classification model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tether.data.inputs import content_ids, read_inputs
from tether.errors import RequestError
from tether.files import read_json
from tether.models.config import ModelConfig
from tether.models.extras import assemble
from tether.models.load import load_backbone
from tether.models.loaded import picture_side
from tether.models.model import Model
from tether.prediction import attach


@dataclass(frozen=True)
class Prediction:
    """One sample's name, its label, that label's probability, and all of them by class."""

    name: str
    label: str
    probability: float
    probabilities: dict[str, float]

    def row(self) -> dict[str, Any]:
        """The prediction as plain JSON values."""
        return {
            "name": self.name,
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
        }


def load(run: str | Path) -> Model:
    """The final model of a run, or a saved classification model, ready to predict.

    `model.probabilities(batch)` predicts by the rule that the model was saved with.

    Raises:
        RequestError: an unfinished run, or a model without a classification head.

    Example:
        >>> import tether
        >>> model = tether.load("runs/digits-rdft_s0")  # doctest: +SKIP
    """
    folder = Path(run)
    if (folder / "config.yaml").is_file() and not (folder / "model").is_dir():
        raise RequestError(f"{folder} is a run without a finished model; run its train command again first")
    loaded = load_backbone(ModelConfig(name=str(run)))
    if loaded.head is None or loaded.classes is None:
        raise RequestError(f"{run} has no classification head; expected a tether run or a fine-tuned model")
    classes = loaded.classes
    if (folder / "classes.json").is_file():
        classes = tuple(read_json(folder / "classes.json"))
    model = assemble(loaded.backbone, loaded.head, classes, loaded.extras)
    return attach(model, loaded.rule).eval()


def predict(
    run: str | Path, inputs: Sequence[str], column: str | None = None, batch_size: int = 64
) -> list[Prediction]:
    """Predict files, folders, tables, or standard input ("-").

    Args:
        run: a run's folder or a saved model.
        inputs: paths, or "-".
        column: of a table, the one that holds texts or picture paths.
        batch_size: samples a forward pass.
    """
    model = load(run)
    samples = read_inputs(inputs, column, picture_size(Path(run), model))
    found: list[Prediction] = []
    for start in range(0, len(samples), batch_size):
        rows = range(start, min(start + batch_size, len(samples)))
        batch = samples.batch(rows)
        # A sample's own number, not its place in the list: draws of a rule hang on it.
        probabilities = model.probabilities(replace(batch, ids=content_ids(batch)))
        for i, row in zip(rows, probabilities.tolist(), strict=True):
            best = max(range(len(row)), key=row.__getitem__)
            by_class = dict(zip(model.classes, row, strict=True))
            found.append(Prediction(samples.names[i], model.classes[best], row[best], by_class))
    return found


def picture_size(run: Path, model: Model) -> int:
    """The side that the run's pictures were resized to; the model's own for other folders."""
    recorded = read_json(run / "data.json")["picture_size"] if (run / "data.json").is_file() else None
    return int(recorded or picture_side(model.backbone))
