"""The EMA codebook against plain loops."""

from __future__ import annotations

import torch

from tether.shifts.discrete.codebook import DECAY, Codebook, flat
from tether.shifts.discrete.networks import VqAutoencoder, seeded
from tether.shifts.discrete.quantiser import by_use, nearest, perplexity


def a_codebook(codes: int = 5, dim: int = 3) -> Codebook:
    book = Codebook(codes, dim)
    book.start(torch.randn(40, dim, generator=seeded(1)), seeded(2))
    return book


def test_nearest_is_the_smallest_distance():
    rows, codes = torch.randn(50, 7, generator=seeded(0)), torch.randn(9, 7, generator=seeded(1))
    assert torch.equal(nearest(rows, codes), torch.cdist(rows, codes).argmin(1))


def test_the_averages_are_those_of_a_plain_loop():
    book = a_codebook()
    counts, sums = book.counts.double().tolist(), book.sums.double().tolist()
    for step in range(3):
        rows = torch.randn(11, 3, generator=seeded(10 + step))
        index = torch.randint(0, 4, (11,), generator=seeded(20 + step))  # code 4 gets nothing
        book.update(rows, index)
        for k in range(5):
            mine = [r for r, i in zip(rows.double().tolist(), index.tolist(), strict=True) if i == k]
            counts[k] = DECAY * counts[k] + (1 - DECAY) * len(mine)
            for d in range(3):
                sums[k][d] = DECAY * sums[k][d] + (1 - DECAY) * sum(r[d] for r in mine)
        total = sum(counts)
        for k in range(5):
            smooth = (counts[k] + 1e-5) / (total + 5 * 1e-5) * total
            torch.testing.assert_close(
                book.vectors[k].tolist(), [s / smooth for s in sums[k]], rtol=1e-5, atol=1e-6
            )
    torch.testing.assert_close(book.counts.tolist(), counts, rtol=1e-5, atol=1e-6)


def test_a_code_converges_to_the_mean_of_what_it_gets():
    book, rows = a_codebook(codes=2), torch.tensor([[1.0, 2, 3], [3, 2, 1], [-5, -5, -5]])
    for _ in range(2000):
        book.update(rows, torch.tensor([0, 0, 1]))
    torch.testing.assert_close(book.vectors, torch.tensor([[2.0, 2, 2], [-5, -5, -5]]), rtol=1e-3, atol=1e-3)


def test_the_gradient_passes_straight_through():
    book, z = a_codebook(), torch.randn(2, 3, 4, 5, generator=seeded(3), requires_grad=True)
    quantised, index = book(z)
    weight = torch.randn(quantised.shape, generator=seeded(4))
    (quantised * weight).sum().backward()
    assert torch.equal(z.grad, weight)
    assert not torch.allclose(quantised, z)
    torch.testing.assert_close(flat(quantised), book.vectors[index.flatten()])


def test_dead_codes_restart_at_rows_and_live_ones_stay():
    book = a_codebook()
    before = book.vectors.clone()
    book.counts.copy_(torch.tensor([10.0, 0.01, 10, 10, 0.0]))
    rows = torch.full((6, 3), 7.0)
    assert book.restart(rows, seeded(0)) == 2
    assert torch.equal(book.vectors[[1, 4]], rows[:2])
    assert torch.equal(book.vectors[[0, 2, 3]], before[[0, 2, 3]])
    assert book.restart(rows, seeded(0)) == 0  # they got a fair share, so they are not dead again
    torch.testing.assert_close(book.sums[[1, 4]] / book.counts[[1, 4], None], rows[:2])


def test_training_revives_a_codebook_that_lies_far_away():
    """With no restart a code that is nobody's nearest would never move."""
    network = VqAutoencoder(8, 6, 12)
    book, rows = network.codebook, torch.randn(64, 6, generator=seeded(5))
    book.vectors.fill_(100.0)
    book.vectors[0] = 0.0
    for step in range(600):
        index = nearest(rows, book.vectors)
        book.update(rows, index)
        if step % 100 == 99:
            book.restart(rows, seeded(step))
    assert len(nearest(rows, book.vectors).unique()) == 12


def test_perplexity_and_order_of_use():
    assert perplexity(torch.tensor([5.0, 5, 5, 5])) == 4
    assert perplexity(torch.tensor([0.0, 9, 0])) == 1
    share = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    assert abs(perplexity(share * 8) - float(2 ** (-(share * share.log2()).sum()))) < 1e-9
    assert by_use(torch.tensor([1.0, 7, 1, 3])).tolist() == [1, 3, 0, 2]


def test_the_loss_is_reconstruction_over_variance_plus_a_quarter_commitment():
    network = VqAutoencoder(8, 6, 12)
    from tether.shifts.discrete.blocks import initialise

    initialise(network, seeded(0))
    x = torch.rand(3, 3, 16, 16, generator=seeded(1)) * 2 - 1
    network.codebook.start(network.rows(x), seeded(2))
    network.codebook.vectors.mul_(0.9)
    loss, rows, index = network.loss(x, 0.5)
    chosen = network.codebook.vectors[index]
    decoded = network.decoder(chosen.view(3, 4, 4, 6).permute(0, 3, 1, 2))
    want = (decoded - x).square().mean() / 0.5 + 0.25 * (rows - chosen).square().mean()
    torch.testing.assert_close(loss, want)
    loss.backward()
    assert all(p.grad is not None for p in network.encoder.parameters())
