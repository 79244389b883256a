"""Monte-Carlo passes over three heads: what is drawn, what runs, what is saved and found again."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tether
from tether import tune
from tether.errors import RequestError
from tether.models.model import MAIN, Model
from tether.models.save import save_model
from tether.prediction import Predict, attach, rule_of, select_head, softmax_main, write_rule
from tether.prediction.scores import divergence, uncertainty
from tether.prediction.selection import COMBINED, UNCLEAN, probabilities
from tiny import tiny_batch, tiny_bert, tiny_model, tiny_texts

HEADS = (MAIN, COMBINED, UNCLEAN)


def three(fraction: float = 0.9, section: str = "auto", p: float = 0.1, model: Model | None = None) -> Model:
    """A model with three heads that differ."""
    model = tiny_model() if model is None else model
    tune.tail(fraction, p, (COMBINED, UNCLEAN), section).apply(model)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name in (COMBINED, UNCLEAN):
            for parameter in model.heads[name].parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def text_model(folder: Path, section: str = "block") -> Model:
    loaded = tether.models.load.load_backbone(
        tether.models.config.ModelConfig(name=str(tiny_bert(folder / "bert")))
    )
    head = tether.models.heads.random_head(16, 2, 0)
    return three(1.0, section, model=Model(loaded.backbone, {MAIN: head}, ("no", "yes")))


def test_a_pass_is_the_mean_of_what_it_says_by_hand() -> None:
    """`run` against a naive loop of whole forwards."""
    model, batch = three(), tiny_batch(12)
    heads = probabilities(model, batch, 4, 0)
    for s in range(4):
        with torch.no_grad(), model.dropout.passing(tether.shifts.Draws(0, s), batch.ids):
            whole = model(batch).logits
        for name in HEADS:
            torch.testing.assert_close(heads[name][s], torch.softmax(whole[name], -1), rtol=0, atol=0)
    rule = select_head("product", 4).run(model, batch)
    for b in range(12):
        scores = {}
        for name in (MAIN, UNCLEAN):
            passes = heads[name][:, b : b + 1]
            m = heads[COMBINED][:, b : b + 1].mean(0)
            scores[name] = float(uncertainty(passes) * divergence(m, passes.mean(0)))
        best = UNCLEAN if scores[UNCLEAN] < scores[MAIN] else MAIN
        torch.testing.assert_close(rule[b], heads[best][:, b].mean(0))


def test_masks_differ_between_passes_and_samples_and_are_the_same_again() -> None:
    model = three()
    one = tiny_batch(1)
    twins = replace(one, x=one.x.repeat(2, 1, 1, 1), y=one.y.repeat(2), ids=torch.tensor([1, 2]))
    heads = probabilities(model, twins, 3, 0)[MAIN]
    assert not torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[:, 0], heads[:, 1])  # the same picture under two ids
    assert torch.equal(heads, probabilities(model, twins, 3, 0)[MAIN])
    assert not torch.equal(heads, probabilities(model, twins, 3, 1)[MAIN])


def test_a_sample_s_answer_hangs_on_no_other_sample() -> None:
    model, batch = three(), tiny_batch(12)
    rule = select_head("confidence", 5)
    whole = rule.run(model, batch)
    order = [7, 2, 11]
    torch.testing.assert_close(rule.run(model, batch.take(order)), whole[order], rtol=0, atol=1e-6)


def test_a_text_s_answer_does_not_hang_on_padding(tmp_path: Path) -> None:
    model, batch = text_model(tmp_path), tiny_texts(4)
    rule = select_head("confidence", 5)
    whole = rule.run(model, batch)
    for i in range(4):
        torch.testing.assert_close(rule.run(model, batch.take([i]))[0], whole[i], rtol=0, atol=1e-5)


def test_dropout_is_off_outside_training_and_passes_and_off_below_the_split() -> None:
    plain = tiny_model()
    model = tiny_model()
    tune.tail(0.9, 0.5, (COMBINED, UNCLEAN)).apply(model)
    batch = tiny_batch(8)
    split = model.dropout.start
    assert split == 1
    with torch.no_grad():
        expected = plain(batch, [0])
        model.eval()
        for name in HEADS:
            assert torch.equal(model(batch).logits[name], expected.logits[MAIN])
        model.train()
        torch.manual_seed(0)
        trained = model(batch, [0])
        assert torch.equal(trained.hidden[0], expected.hidden[0])  # the frozen block
        assert not torch.equal(trained.features, expected.features)
        model.eval()
        assert torch.equal(model(batch).logits[MAIN], expected.logits[MAIN])


def test_the_rate_of_dropout_and_its_mean() -> None:
    model = three(p=0.25)
    x = torch.ones(64, 1000)
    with model.dropout.passing(tether.shifts.Draws(0), torch.arange(64)):
        dropped = model.dropout(x, "here")
    assert set(dropped.unique().tolist()) == {0.0, float(torch.tensor(1.0) / 0.75)}
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("section", ["classifier", "block", "top"])
def test_the_frozen_blocks_run_once(section: str) -> None:
    model = three(section=section if section != "top" else "block")
    counts = [0, 0]
    for i, block in enumerate(model.backbone.blocks()):
        inner = block[0]
        inner.register_forward_hook(lambda *_, i=i: counts.__setitem__(i, counts[i] + 1))
    probabilities(model, tiny_batch(4), 6, 0)
    counts[:] = [0, 0]  # the first call also tried whether the network can be cut
    probabilities(model, tiny_batch(4), 6, 0)
    above = 6 if section == "classifier" else 18  # each head section runs its own last block
    assert counts == [1, above]


def test_calibration_takes_the_medians_of_what_it_saw() -> None:
    model = three()
    batches = [tiny_batch(10, seed=1), tiny_batch(7, seed=2)]
    settled = select_head("floored", 4).settled(model, batches)
    u, kl = [], []
    for batch in batches:
        heads = probabilities(model, batch, 4, 0)
        for name in (MAIN, UNCLEAN):
            u += uncertainty(heads[name]).tolist()
            kl += divergence(heads[COMBINED].mean(0), heads[name].mean(0)).tolist()
    assert settled.options["u0"] == pytest.approx(float(np.median(u)), rel=1e-6)
    assert settled.options["k0"] == pytest.approx(float(np.median(kl)), rel=1e-6)
    assert settled.calibrate is None
    settled.run(model, tiny_batch(3))
    with pytest.raises(RequestError, match="needs ID validation samples"):
        select_head("floored").settled(model, [])


@pytest.mark.parametrize("kind", ["text-block", "text-classifier"])
def test_saved_and_loaded_it_predicts_the_same(kind: str, tmp_path: Path) -> None:
    model = text_model(tmp_path, kind.removeprefix("text-"))
    with torch.no_grad():
        for name in (COMBINED, UNCLEAN):  # sections that differ from the network's own
            for p in model.heads[name].parameters():
                p.mul_(1.1)
    batch = tiny_texts(8)
    rule = select_head("floored", 4).settled(model, [batch])
    save_model(model, tmp_path / "run" / "model")
    write_rule(rule, tmp_path / "run" / "model")
    again = tether.load(tmp_path / "run")
    assert set(again.heads) == set(HEADS)
    with torch.no_grad():
        for name in HEADS:
            torch.testing.assert_close(
                again(batch).logits[name], model(batch).logits[name], rtol=0, atol=1e-6
            )
    torch.testing.assert_close(again.probabilities(batch), rule.run(model, batch), rtol=0, atol=1e-6)
    assert not torch.equal(again.probabilities(batch), softmax_main.run(again, batch))


def test_a_wrapped_model_is_read_back_whole(tmp_path: Path) -> None:
    from tether.models.wrap import reload
    from tiny import TinyNet, fixed

    def made() -> tether.wrap:
        return tether.wrap(fixed(TinyNet()), width=8)

    head = tether.models.heads.random_head(8, 3, 0)
    model = three(0.9, "block", model=Model(made(), {MAIN: head}, ("a", "b", "c")))
    save_model(model, tmp_path / "m")
    again = reload(tmp_path / "m", made())
    batch = tiny_batch(6)
    for name, got in probabilities(again, batch, 3, 0).items():
        torch.testing.assert_close(got, probabilities(model, batch, 3, 0)[name], rtol=0, atol=1e-6)


def test_a_rule_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    from tether import plugins

    def flat(power: float = 0.5) -> Predict:
        def run(model: Model, batch: tether.batch.Batch) -> torch.Tensor:
            p = softmax_main.run(model, batch) ** power
            return p / p.sum(-1, keepdim=True)

        return Predict("flat", run, {"power": power})

    monkeypatch.setattr(plugins, "find", lambda group, name, kind: flat if name == "flat" else None)
    model = attach(tiny_model(), {"name": "flat", "options": {"power": 0.0}})
    torch.testing.assert_close(model.probabilities(tiny_batch(2)), torch.full((2, 3), 1 / 3))


def test_rules_by_name() -> None:
    assert rule_of(None) is softmax_main
    rule = select_head("kl_only", 3, "top1", 4)
    assert rule_of({"name": rule.name, "options": rule.options}).options == rule.options
    with pytest.raises(RequestError, match=r"no prediction rule 'select_hed'.*select_head"):
        rule_of({"name": "select_hed"})
    with pytest.raises(RequestError, match="passes"):
        rule_of({"name": "select_head", "options": {"passes": 1}})


def test_the_oracle_is_refused_on_new_samples() -> None:
    model = attach(three(), {"name": "select_head", "options": {"selection": "oracle", "passes": 2}})
    with pytest.raises(RequestError, match="upper bound"):
        model.probabilities(replace(tiny_batch(4), y=torch.full((4,), -100)))
    labelled = model.probabilities(tiny_batch(4))
    assert labelled.shape == (4, 3)


def test_a_model_without_three_heads_is_refused() -> None:
    with pytest.raises(RequestError, match="expected a model with the heads"):
        select_head("product").run(tiny_model(), tiny_batch(2))


def test_a_copy_has_dropout_of_its_own() -> None:
    model = three(p=0.5)
    other = copy.deepcopy(model).eval()
    model.train()
    batch = tiny_batch(4)
    with torch.no_grad():
        assert torch.equal(other(batch).logits[MAIN], three(p=0.5)(batch).logits[MAIN])
