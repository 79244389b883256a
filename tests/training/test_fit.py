from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tether import tune
from tether.errors import Interrupted, RequestError
from tether.methods import Initial, Method
from tether.objective import Term, activation, ce, features, robust
from tether.teachers import bind
from tether.training import Engine, TrainConfig, fit
from tether.training.order import WINDOW, Order, step_indices
from tiny import ListExamples, darker, tiny_batch, tiny_model

RDFT_LIKE = Method(
    tuning=tune.lora(rank=2),
    terms=(ce(), robust("gated"), features(0.3), activation(0.3)),
    views={"shifted": darker},
    teachers={"initial": Initial()},
)


def train(
    folder: Path, method: Method = RDFT_LIKE, steps: int = 12, fingerprint: str = "f", judge=None, **recipe
):
    torch.manual_seed(0)
    model = tiny_model()
    groups = method.tuning.apply(model)
    teachers = {n: t.run for n, t in bind(method, model, {}).items()}
    config = TrainConfig(**{"steps": steps, "batch_size": 16, "checkpoint_every": 5, **recipe})
    fitted = fit(
        model, method, groups, ListExamples(tiny_batch(40)), teachers, config, Engine("fp32"), 3, folder,
        fingerprint, "tiny", judge,
    )  # fmt: skip
    return model, fitted


def weights(model) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_same_seed_gives_the_same_curve_and_weights(tmp_path: Path) -> None:
    a, _ = train(tmp_path / "a")
    b, _ = train(tmp_path / "b")
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert all(torch.equal(v, weights(b)[n]) for n, v in weights(a).items())


def test_an_epoch_sees_every_sample_once() -> None:
    seen = [i for step in range(5) for i in step_indices(step, 40, 8, seed=1)]
    assert sorted(seen) == list(range(40))
    again = [i for step in range(5, 10) for i in step_indices(step, 40, 8, seed=1)]
    assert sorted(again) == list(range(40))
    assert seen != again
    assert len(step_indices(0, 5, 64, seed=1)) == 5
    straddling = step_indices(2, 20, 8, seed=1)
    assert len(straddling) == 8


def test_texts_of_like_length_share_a_batch_and_none_is_seen_more_often() -> None:
    sizes = np.random.default_rng(0).integers(1, 500, size=100)
    order = Order(100, 4, 3, sizes)
    seen = [order.rows(step) for step in range(2 * WINDOW)]
    plain = [step_indices(step, 100, 4, 3) for step in range(2 * WINDOW)]
    for k in (0, WINDOW):  # the same samples in each window, in other batches
        assert sorted(chain(*seen[k : k + WINDOW])) == sorted(chain(*plain[k : k + WINDOW]))
    spread = [np.ptp(sizes[rows]) for rows in seen]
    assert np.mean(spread) < 0.2 * np.mean([np.ptp(sizes[rows]) for rows in plain])
    # A resumed run asks for a later step first; batches do not come sorted by length.
    assert Order(100, 4, 3, sizes).rows(WINDOW + 3) == seen[WINDOW + 3]
    means = [sizes[rows].mean() for rows in seen[:WINDOW]]
    assert means != sorted(means)
    assert Order(100, 4, 3).rows(5) == plain[5]


def test_interrupt_saves_and_the_same_call_goes_on_exactly(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole")

    def interrupt_at_7(f):
        if len(f.batch()) and _step_of(f) == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return f.student().logits["main"].sum(-1) * 0.0

    watched = Method(
        tuning=RDFT_LIKE.tuning,
        terms=(*RDFT_LIKE.terms, Term("watch", interrupt_at_7)),
        views=RDFT_LIKE.views,
        teachers=RDFT_LIKE.teachers,
    )
    with pytest.raises(Interrupted, match="after step 8 of 12"):
        train(tmp_path / "cut", watched)
    resumed, fitted = train(tmp_path / "cut")
    assert all(torch.equal(v, weights(resumed)[n]) for n, v in weights(whole).items())
    assert [r["step"] for r in rows(tmp_path / "cut")] == list(range(12))
    assert fitted.steps == 12


def _step_of(forwards) -> int:
    return forwards._draws.step


SCRIPT = """
import sys
sys.path[:0] = [{tests!r}]
import torch
torch.set_num_threads(1)  # as in the process it is compared with
from pathlib import Path
from training.test_fit import train
train(Path({folder!r}), steps=60, checkpoint_every={every})
"""


@pytest.mark.parametrize("after", [1, 25])
def test_kill_9_at_any_step_then_the_same_command_ends_at_the_same_weights(
    tmp_path: Path, after: int
) -> None:
    """A real process, really killed, wherever it happens to be."""
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path / "cut"), every=7)
    child = subprocess.Popen([sys.executable, "-c", script])
    log = tmp_path / "cut" / "log.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        if log.is_file() and log.read_bytes().count(b"\n") >= after:
            break
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the child ended before it could be killed"

    train(tmp_path / "cut", steps=60, checkpoint_every=7)
    train(tmp_path / "whole", steps=60, checkpoint_every=7)
    cut = load_file(tmp_path / "cut" / "checkpoints" / "last.safetensors")
    whole = load_file(tmp_path / "whole" / "checkpoints" / "last.safetensors")
    assert cut.keys() == whole.keys()
    assert all(torch.equal(cut[k], whole[k]) for k in cut)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


def test_a_checkpoint_of_another_config_is_refused(tmp_path: Path) -> None:
    train(tmp_path, fingerprint="one")
    with pytest.raises(RequestError, match=r"another config.*Remove"):
        train(tmp_path, fingerprint="two")


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    other = Method(tuning=tune.heads(), terms=(ce(),))
    with pytest.raises(RequestError, match="other parameters"):
        train(tmp_path, other)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    path = tmp_path / "checkpoints" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RequestError, match="cannot be read"):
        train(tmp_path)


def test_a_non_finite_loss_stops_with_term_and_step_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    def breaks_at_6(f):
        return f.student().features.sum(-1) * (float("inf") if _step_of(f) == 6 else 0.0)

    method = Method(tuning=tune.heads(), terms=(ce(), Term("breaks", breaks_at_6)))
    with pytest.raises(RequestError, match="step 6: term breaks"):
        train(tmp_path, method)
    assert (tmp_path / "checkpoints" / "last.safetensors").is_file()


def test_a_full_disk_leaves_the_old_checkpoint_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from tether.training import checkpoint

    train(tmp_path, steps=5)
    before = (tmp_path / "checkpoints" / "last.safetensors").read_bytes()

    def full(tensors, path, metadata=None) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(RequestError, match="disk is full"):
        train(tmp_path, steps=10)
    assert (tmp_path / "checkpoints" / "last.safetensors").read_bytes() == before
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["last.safetensors"]


def test_accumulation_changes_nothing_for_additive_losses(tmp_path: Path) -> None:
    method = Method(
        tuning=tune.lora(rank=2), terms=(ce(), robust("gated")), views={"shifted": darker},
        teachers={"initial": Initial()},
    )  # fmt: skip
    one, _ = train(tmp_path / "one", method, steps=3, batch_size=8)
    two, _ = train(tmp_path / "two", method, steps=3, batch_size=8, accumulate=2)
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(two)[name], value, rtol=1e-3, atol=1e-5)


def test_rar_with_too_few_rows_stops_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="at least 16 rows, got 8"):
        train(tmp_path, batch_size=4)
    assert not (tmp_path / "log.jsonl").exists()


@pytest.mark.parametrize("name", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_a_launch_that_shards_the_weights_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "true")
    with pytest.raises(RequestError, match=f"{name} is set.*torchrun"):
        Engine("fp32")


def test_the_schedule_warms_up_and_decays_to_zero() -> None:
    recipe = TrainConfig(steps=100, warmup=0.1)
    factors = [recipe.factor(s, 100) for s in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == pytest.approx(1.0)
    assert factors == [*sorted(factors[:10]), *sorted(factors[10:], reverse=True)]
    assert factors[-1] < 0.01


def test_nothing_to_train_runs_no_step(tmp_path: Path) -> None:
    _, fitted = train(tmp_path, Method(tuning=tune.nothing()))
    assert fitted.steps == 0
    assert not (tmp_path / "log.jsonl").exists()


def test_outside_the_main_thread_it_trains_without_catching_signals(tmp_path: Path) -> None:
    done = []
    thread = threading.Thread(target=lambda: done.append(train(tmp_path, steps=2)))
    thread.start()
    thread.join(60)
    assert done
