"""Run folders as the other rooms write them: four methods, two seeds, known accuracies."""

import base64
import io
import json
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ["ok", "<script>alert('class')</script>", "bad & worse"]
SETS = [
    ("id_test", "id", 0),
    ("optdigits", "natural", 0),
    ("street", "natural", 0),
    *[(name, "synthetic", s) for name in ("gaussian_noise", "fog") for s in (1, 3, 5)],
]
# method -> accuracy on ID, natural, and the loss of accuracy for each severity step
METHODS = {
    "linear_probe": (0.80, 0.66, 0.03),
    "finetune": (0.94, 0.62, 0.07),
    "wise_ft": (0.93, 0.68, 0.05),
    "rdft": (0.94, 0.80, 0.03),
}
EXAMPLES = 400


def png(rng):
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def predictions(method, seed, examples=EXAMPLES):
    """Columns of the prediction file: methods share the difficulty of an example, seeds shift it a little."""
    inside, natural, slope = METHODS[method]
    columns = {k: [] for k in ("id", "evalset", "kind", "severity", "label", "probabilities")}
    for evalset, kind, severity in SETS:
        first = 0 if kind != "natural" else 10_000
        shared = np.random.default_rng(zlib.crc32(evalset.encode()))
        hard = shared.random(examples)
        labels = np.random.default_rng(9).integers(0, 3, examples)
        level = {"id": inside, "natural": natural, "synthetic": inside - slope * severity}[kind]
        own = np.random.default_rng(zlib.crc32(f"{method}{seed}{evalset}{severity}".encode()))
        right = hard + own.normal(0, 0.05, examples) < level
        guess = np.where(right, labels, (labels + 1) % 3)
        sure = own.uniform(0.5, 0.98, examples)
        p = np.repeat(((1 - sure) / 2)[:, None], 3, axis=1)
        p[np.arange(examples), guess] = sure
        order = own.permutation(examples)  # a reader must not trust the order of the rows
        columns["id"] += [first + int(i) for i in order]
        columns["evalset"] += [evalset] * examples
        columns["kind"] += [kind] * examples
        columns["severity"] += [severity] * examples
        columns["label"] += labels[order].tolist()
        columns["probabilities"] += p[order].tolist()
    return columns


def write_parquet(path, columns):
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("evalset", pa.string()),
            ("kind", pa.string()),
            ("severity", pa.int8()),
            ("label", pa.int64()),
            ("probabilities", pa.list_(pa.float32())),
        ]
    )
    pq.write_table(pa.table(columns, schema=schema), path)


def write_run(folder, method, seed):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    columns = predictions(method, seed)
    write_parquet(folder / "predictions.parquet", columns)
    hit = [int(np.argmax(p) == y) for p, y in zip(columns["probabilities"], columns["label"], strict=True)]
    rows, means = [], {}
    for k, (evalset, kind, severity) in enumerate(SETS):
        value = float(np.mean(hit[k * EXAMPLES : (k + 1) * EXAMPLES]))
        means[evalset, severity] = value
        rows.append(
            {
                "run": folder.name,
                "method": method,
                "seed": seed,
                "evalset": evalset,
                "kind": kind,
                "severity": severity,
                "metric": "accuracy",
                "value": value,
                "low": value - 0.03,
                "high": value + 0.03,
                "n": EXAMPLES,
            }
        )
    (folder / "results.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    ood = (means["optdigits", 0] + means["street", 0]) / 2
    summary = {
        "method": method,
        "seed": seed,
        "id_accuracy": means["id_test", 0],
        "ood_accuracy": ood,
        "robustness_gap": 1 - ood / means["id_test", 0],
        "synthetic_accuracy": float(np.mean([v for (_, s), v in means.items() if s])),
        "trainable_parameters": {"linear_probe": 1_155, "rdft": 147_456}.get(method, 22_700_000),
        "total_parameters": 22_700_000,
        "train_seconds": 31.5 + seed,
        "teacher_seconds": 12.25 if method == "rdft" else 0.0,
        **({"choose_seconds": 4.5} if method == "rdft" else {}),  # older runs do not say
        "step_seconds": 0.042,
        "peak_memory_bytes": 812 * 2**20,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    views = "  shifts: [fog, {name: mixup}]\n" if method == "rdft" else ""
    (folder / "config.yaml").write_text(
        f"model: minilm-l6\ndata: digits\nmethod:\n  name: {method}\n{views}train: {{epochs: 3}}\n"
        f"evaluate: {{shifts: [gaussian_noise, fog]}}\nseed: {seed}\noutput: runs/{folder.name}\n"
    )
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    log = []
    for step in range(0, 600, 2):
        terms = {"task": 1.2 * np.exp(-step / 150) + 0.1 * rng.random()}
        weights = {}
        if method == "rdft":
            terms |= {"robust": 0.6 * np.exp(-step / 300) + 0.05 * rng.random(), "rar": 0.2 * rng.random()}
            weights = {"robust": min(3.0, 1 + step / 300), "feature": 0.3}
        log.append(
            {"step": step, "loss": sum(terms.values()), "lr": 1e-3, "terms": terms, "weights": weights}
        )
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in log))
    if method == "wise_ft":
        sweep = [
            {"mu": m / 10, "id_val": 0.8 + 0.014 * m, "ood_val": 0.66 + 0.02 * m - 0.0023 * m * m}
            for m in range(11)
        ]
        sweep = [r | {"chosen": r["mu"] == 0.5} for r in sweep]
        (folder / "merge.jsonl").write_text("".join(json.dumps(r) + "\n" for r in sweep))
    labels = np.random.default_rng(9).integers(0, 3, EXAMPLES).tolist()
    samples = [
        {
            "evalset": e,
            "kind": k,
            "severity": s,
            "id": i + 10_000 * (k == "natural"),
            "label": labels[i],
            "text": None,
            "image": png(rng),
        }
        for e, k, s in SETS
        for i in range(4)
    ]
    text = [
        {
            "evalset": "street",
            "kind": "natural",
            "severity": 0,
            "label": 1,
            "text": "<script>alert('text')</script> fine",
            "image": None,
        }
    ]
    (folder / "samples.json").write_text(json.dumps(samples[:1] + text + samples[1:]))
    return folder
