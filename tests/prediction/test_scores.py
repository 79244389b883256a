"""Head selection against its formulas written out, and against the case that the printed one gets wrong."""

from __future__ import annotations

import math

import pytest
import torch

from tether.batch import NO_LABEL
from tether.errors import RequestError
from tether.prediction import select_head
from tether.prediction.scores import divergence, medians, score, uncertainty
from tether.prediction.selection import Looked, Selection

PASSES = torch.softmax(torch.randn(7, 5, 4, generator=torch.Generator().manual_seed(0)), -1)


def test_uncertainty_is_the_mean_population_deviation() -> None:
    for b in range(5):
        total = 0.0
        for j in range(4):
            values = [float(PASSES[s, b, j]) for s in range(7)]
            mean = sum(values) / 7
            total += math.sqrt(sum((v - mean) ** 2 for v in values) / 7)
        assert float(uncertainty(PASSES)[b]) == pytest.approx(total / 4, rel=1e-5)


def test_top1_is_the_deviation_of_the_class_that_the_mean_chooses() -> None:
    got = uncertainty(PASSES, "top1")
    for b in range(5):
        best = int(PASSES[:, b].mean(0).argmax())
        assert float(got[b]) == pytest.approx(float(PASSES[:, b, best].std(correction=0)), rel=1e-5)


def test_divergence_against_scipy_and_at_a_zero() -> None:
    from scipy.stats import entropy

    p, q = PASSES[0], PASSES[1]
    expected = [entropy(a, b) for a, b in zip(p.tolist(), q.tolist(), strict=True)]
    assert divergence(p, q).tolist() == pytest.approx(expected, rel=1e-4)
    assert divergence(p, p).abs().max() < 1e-7
    hard = divergence(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]))
    assert float(hard) == pytest.approx(0.5 * math.log(0.5) + 0.5 * math.log(0.5 / 1e-8), rel=1e-4)


def broken_clean_head() -> Looked:
    """The clean head is wrong and certain (U = 0); the unclean one agrees with the combined one."""
    mean = torch.tensor([[[0.99, 0.01]], [[0.1, 0.9]]])
    combined = torch.tensor([[0.15, 0.85]])
    kl = torch.stack([divergence(combined, m) for m in mean])
    return Looked(mean, torch.tensor([[0.0], [0.05]]), kl)


def test_the_printed_product_picks_the_certain_but_wrong_head_and_floored_does_not() -> None:
    looked = broken_clean_head()
    y = torch.tensor([1])

    def chosen(rule: str) -> int:
        picked = Selection(rule, 10, "mean", 0, (0.02, 0.02)).choose(looked, y)
        return int(picked)  # 1 is the unclean head, which is right

    assert chosen("product") == 0
    assert chosen("u_only") == 0
    assert chosen("confidence") == 0
    assert chosen("floored") == 1
    assert chosen("kl_only") == 1
    assert chosen("oracle") == 1


def test_scores_are_their_formulas() -> None:
    u, kl, top = torch.tensor([0.2]), torch.tensor([0.5]), torch.tensor([0.7])
    floors = (0.1, 0.3)
    assert float(score("product", u, kl, top, floors)) == pytest.approx(0.1)
    assert float(score("floored", u, kl, top, floors)) == pytest.approx(0.3 * 0.8)
    assert float(score("kl_only", u, kl, top, floors)) == pytest.approx(0.5)
    assert float(score("u_only", u, kl, top, floors)) == pytest.approx(0.2)
    assert float(score("confidence", u, kl, top, floors)) == pytest.approx(-0.7)


@pytest.mark.parametrize("rule", ["floored", "product", "kl_only", "u_only", "confidence", "oracle"])
def test_ties_go_to_the_clean_head(rule: str) -> None:
    same = Looked(
        torch.tensor([[[0.6, 0.4]], [[0.6, 0.4]]]), torch.full((2, 1), 0.1), torch.full((2, 1), 0.2)
    )
    assert not Selection(rule, 10, "mean", 0, (0.1, 0.1)).choose(same, torch.tensor([0]))


def test_medians_are_pooled_over_samples_and_heads() -> None:
    u = [torch.tensor([1.0, 5.0]), torch.tensor([3.0, 9.0])]
    assert medians(u, [torch.tensor([2.0])]) == (4.0, 2.0)


def test_one_pass_is_refused() -> None:
    with pytest.raises(RequestError, match="at least 2 Monte-Carlo passes, got 1"):
        select_head(passes=1)


def test_an_unknown_selection_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="floored"):
        select_head("flored")


def test_the_oracle_needs_labels_and_floored_its_medians() -> None:
    looked = broken_clean_head()
    with pytest.raises(RequestError, match="needs labels"):
        Selection("oracle", 10, "mean", 0, None).choose(looked, torch.tensor([NO_LABEL]))
    with pytest.raises(RequestError, match="not seen yet"):
        Selection("floored", 10, "mean", 0, None).choose(looked, torch.tensor([1]))
