"""Two processes under torchrun (gloo) train what one trains on the same global batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from project import make_project

SCRIPT = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from tether import tune
from tether.methods import Initial, Method, Trained
from tether.objective import ce, kd
from tether.teachers import bind, prepare
from tether.teachers.trained import Making
from tether.training import Engine, TrainConfig, fit
from tiny import ListExamples, darker, tiny_batch, tiny_model

out = Path(sys.argv[1])
engine = Engine("fp32")
method = Method(
    tuning=tune.lora(rank=2),
    terms=(ce(0.5), kd("task", 0.5), kd("initial", 0.5, view="shifted", name="robust")),
    views={"shifted": darker},
    teachers={"initial": Initial(), "task": Trained("finetune")},
)
examples = ListExamples(tiny_batch(40))
recipe = TrainConfig(steps=8, batch_size=16, lr=5e-3)
making = Making(
    fresh=lambda kind: tiny_model(), examples=examples, recipe=recipe, engine=engine, seed=3,
    made_from={"test": out.name}, judge=None, ready=lambda m: m, train_shifts=None, id_val=examples,
)
prepared = prepare(method, making, ("a", "b", "c"))  # two processes train one teacher together
torch.manual_seed(0)
model = tiny_model()
groups = method.tuning.apply(model)
teachers = {n: t.run for n, t in bind(method, model, prepared).items()}
fit(model, method, groups, examples, teachers, recipe, engine, 3, out, "f", "two")
if engine.is_main:
    trained = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    save_file(trained, out / "w.safetensors")
"""


def run(folder: Path, processes: int) -> tuple[list[dict], dict[str, torch.Tensor]]:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    out = folder / f"of{processes}"
    command = [sys.executable, str(script), str(out)]
    if processes > 1:
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        command = [sys.executable, *launch, str(script), str(out)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    cache = str(folder / f"cache{processes}")
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TETHER_CACHE": cache}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return log, load_file(out / "w.safetensors")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
def test_two_processes_give_the_curve_and_the_weights_of_one(tmp_path: Path) -> None:
    alone, before = run(tmp_path, 1)
    both, after = run(tmp_path, 2)
    assert [row["loss"] for row in both] == pytest.approx([row["loss"] for row in alone], rel=1e-4)
    for a, b in zip(alone, both, strict=True):
        assert b["terms"] == pytest.approx(a["terms"], rel=1e-4, abs=1e-6)
    for name, value in before.items():
        assert torch.allclose(value, after[name], atol=1e-5), name


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
def test_the_command_line_in_two_processes_tells_and_writes_once(tmp_path: Path) -> None:
    config = make_project(tmp_path, train={"steps": 4, "batch_size": 32})
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "tether"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TETHER_CACHE": str(tmp_path / "cache")}
    asked = [sys.executable, *torchrun, "train", str(config), "--json"]
    done = subprocess.run(asked, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (told,) = done.stdout.strip().splitlines()
    assert json.loads(told)["steps"] == 4
    assert done.stderr.count("stress test: done") <= 1
    again = subprocess.run(asked, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert json.loads(again.stdout.strip()) == json.loads(told)  # both find it finished
