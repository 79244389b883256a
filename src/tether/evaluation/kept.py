"""Finished sets of an evaluation under way: a killed one goes on with the set it was at.

Each set becomes a file of its own as soon as it is predicted, in `evaluating/` of the run's folder. In the
end they are read back one at a time, so memory holds one set however many there are.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tether.evaluation.suite import EvalSet
from tether.files import atomic
from tether.models.model import Model
from tether.models.registered import weights_hash
from tether.prediction import Predict

FOLDER = "evaluating"
_NOTE = b"tether"


@dataclass(frozen=True)
class Part:
    """One finished set.

    Attributes:
        table: its rows of `predictions.parquet`.
        samples: what the report's gallery shows of it.
        seconds: wall clock that it took.
    """

    table: pa.Table
    samples: list[dict[str, Any]]
    seconds: float

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(N, C), the very bits that were predicted."""
        lists = self.table["probabilities"].combine_chunks()
        flat: NDArray[np.float32] = lists.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(self.table.num_rows, -1)


class Kept:
    """Reads and writes the finished sets of one model under one config.

    Args:
        folder: the run's.
        made_from: `identity` of what predicts; sets of another model or config are never found.
    """

    def __init__(self, folder: Path, made_from: str) -> None:
        self.folder = folder / FOLDER
        self._made_from = made_from

    def path(self, evalset: EvalSet) -> Path:
        """The file of a set, named after its content."""
        return self.folder / f"{_key(self._made_from, evalset)}.parquet"

    def has(self, evalset: EvalSet) -> bool:
        """Whether the set is finished; files appear whole, so being there is enough."""
        return self.path(evalset).is_file()

    def write(self, evalset: EvalSet, part: Part) -> None:
        """Keep a finished set."""
        note = json.dumps({"samples": part.samples, "seconds": part.seconds})
        with atomic(self.path(evalset)) as target:
            pq.write_table(part.table.replace_schema_metadata({_NOTE: note.encode()}), target)

    def read(self, evalset: EvalSet) -> Part:
        """A finished set, its numbers bit for bit."""
        with pq.ParquetFile(self.path(evalset)) as file:
            table = file.read()
        note = json.loads((table.schema.metadata or {})[_NOTE])
        return Part(table.replace_schema_metadata(None), note["samples"], float(note["seconds"]))

    def clear(self) -> None:
        """Remove them all, once the run's own files hold them."""
        shutil.rmtree(self.folder, ignore_errors=True)


def identity(model: Model, rule: Predict, fingerprint: str) -> str:
    """Hash of what decides the predictions: every weight, the rule, the config.

    A run that is trained again to the same bits finds its finished sets; one that ends elsewhere does not.
    """
    parts = [weights_hash(model), rule.name, json.dumps(dict(rule.options), sort_keys=True, default=str)]
    return hashlib.sha256("\n".join([*parts, fingerprint]).encode()).hexdigest()


def _key(made_from: str, evalset: EvalSet) -> str:
    digest = hashlib.sha256(made_from.encode())
    digest.update(json.dumps([evalset.name, evalset.kind, evalset.severity, evalset.seed]).encode())
    content = getattr(evalset.examples, "digests", None)
    for column in (evalset.examples.ids, evalset.examples.labels, evalset.answer, content):
        digest.update(b"-" if column is None else np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:24]
