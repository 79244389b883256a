"""A table larger than the memory a process may use: read, checked, split and trained on all the same."""

import json
import os
import subprocess
import sys

import pytest

ROWS, BYTES = 12_000, 16_000  # 192 MB of text
ALLOWED = 64 * 1024**2  # beyond what the imports took; a third of the table

SCRIPT = """
import json, resource, sys
import numpy as np
import torch
from tether.data import DataConfig, load_data
from tether.training.order import step_indices
import datasets, pyarrow.csv, pyarrow.parquet

path, allowed = sys.argv[1], int(sys.argv[2])
model = torch.nn.Linear(256, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

def train(examples, step):
    batch = examples.batch(step_indices(step, len(examples), 64, 0))  # the shuffled order of a run
    letters = torch.tensor([list(text[:64].encode()) for text in batch.x])
    x = torch.stack([torch.bincount(row, minlength=256) for row in letters])
    loss = torch.nn.functional.cross_entropy(model(x / x.sum(1, keepdim=True)), batch.y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return batch.ids.tolist()

# A first small load brings the lazy imports and the threads in, so that the limit is on the data alone.
columns = {"source": "table", "text": "text", "label": "label"}
train(load_data(DataConfig.model_validate(columns | {"path": sys.argv[3]})).train, 0)

def used(kind):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(kind))

start = used("VmData")
# RLIMIT_DATA counts what the process allocates and not the files it maps.
resource.setrlimit(resource.RLIMIT_DATA, (start + allowed, resource.getrlimit(resource.RLIMIT_DATA)[1]))
bundle = load_data(DataConfig.model_validate(columns | {"path": path}))
seen = set()
for step in range(-(-len(bundle.train) // 64)):  # an epoch
    seen |= set(train(bundle.train, step))
grown = used("VmData") - start
try:
    whole = [bytes(BYTES_ALL // 8) for _ in range(8)]
    held = True
except MemoryError:
    held = False
print(json.dumps({"train": len(bundle.train), "seen": len(seen), "grown": grown, "held": held}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts allocations on Linux alone")
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_table_three_times_the_memory_limit(tmp_path, suffix):
    big, small = tmp_path / f"big{suffix}", tmp_path / f"small{suffix}"
    write(big, ROWS, BYTES)
    write(small, 40, 10)
    script = SCRIPT.replace("BYTES_ALL", str(ROWS * BYTES))
    environment = os.environ | {
        "TETHER_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "ARROW_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, str(big), str(ALLOWED), str(small)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["train"] == 0.7 * ROWS
    assert told["seen"] == told["train"]
    assert told["grown"] < ALLOWED
    assert not told["held"]  # the limit does bite: holding the table would have failed


def write(path, rows, n):
    filler = "x" * (n - 8)
    labels = ["a", "b"]
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("text", pa.string()), ("label", pa.string())])
        with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
            for start in range(0, rows, 1000):
                part = range(start, min(start + 1000, rows))
                texts = [f"{i:08d}{filler}" for i in part]
                writer.write_table(pa.table({"text": texts, "label": [labels[i % 2] for i in part]}))
        return
    with path.open("w") as f:
        if path.suffix == ".csv":
            f.write("text,label\n")
        for i in range(rows):
            text, label = f"{i:08d}{filler}", labels[i % 2]
            line = f"{text},{label}" if path.suffix == ".csv" else json.dumps({"text": text, "label": label})
            f.write(line + "\n")
