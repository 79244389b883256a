"""Random exchanges of near pixels, one after the other, computed all at once.

The original visits the pixels in reverse reading order and exchanges each with a neighbour, so that an
exchange sees what the earlier ones did. Here every exchange is a node that knows, by arithmetic alone,
which exchange last touched each of its two places before it. What a place holds at the end is found by
walking these links back to the start, for all places together: the same outcome as the loop's, exactly,
for the same drawn neighbours. Walks are short, some tens of steps at most.
"""

from __future__ import annotations

import torch
from torch import Tensor


def visited(high: int, wide: int, reach: int, device: torch.device) -> Tensor:
    """Which places exchange, (H, W) bool: all whose neighbours in [-reach, reach - 1] are inside.

    Of the places that could, the original's loop leaves out the first row and column too.
    """
    rows, columns = torch.arange(high, device=device), torch.arange(wide, device=device)
    tall = (rows > reach) & (rows <= high - reach)
    return tall[:, None] & ((columns > reach) & (columns <= wide - reach))


def sources(down: Tensor, right: Tensor, reach: int, *, copy: bool = False) -> Tensor:
    """Where each place's content came from, after one pass of exchanges.

    Args:
        down: (B, H, W) int32 in [-reach, reach - 1]; how far below its partner each place finds.
        right: the same to the right.
        reach: 1..4.
        copy: the visited place takes its partner's content, and the partner keeps it too.

    Returns:
        (B, H * W) int64, places counted row by row within the image.

    Example:
        >>> from_where = sources(down, right, reach=1)
        >>> y = x.flatten(2).gather(2, from_where[:, None].expand(-1, 3, -1)).view_as(x)
    """
    count, high, wide = down.shape
    total = down.numel()
    # Half as wide where it can be: the work is all memory.
    kind = torch.int32 if 3 * total < 1 << 31 else torch.int64
    active = visited(high, wide, reach, down.device).expand_as(down).reshape(-1)
    # Places of all images in one row: a partner is always in the same image.
    place = torch.arange(total, device=down.device, dtype=kind)
    partner = torch.where(active, place + (down * wide + right).flatten(), place)
    if copy:
        start, links = _copies(place, partner, active)
    else:
        start, links = _exchanges(place, partner, active, down, right, reach)
    first = place.view(count, high * wide)[:, :1]
    return (_walk(start, links).view(count, high * wide) - (len(links) + first)).long()


def _copies(place: Tensor, partner: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes 0..M-1: the content of a place after its visit. M + i: the content of i at the start."""
    total = len(place)
    # Visits run backwards, so a partner further on in reading order was visited before.
    earlier = active[partner] & (partner > place)
    return place + (~active) * total, partner + (~earlier) * total


def _exchanges(
    place: Tensor, partner: Tensor, active: Tensor, down: Tensor, right: Tensor, reach: int
) -> tuple[Tensor, Tensor]:
    """Nodes 0..M-1: content of a place after its own visit; M..2M-1: content of its partner's place then.

    2M + i is the content of i at the start. The visits that touch a place are bits of one word: bit
    number (offset), the earlier the higher, so that "the last one before" is the lowest bit above.
    """
    total, side, wide = len(place), 2 * reach, down.shape[2]
    word = torch.int32 if reach <= 2 else torch.int64  # side^2 bits
    # A visitor above and to the left comes later: the offset grows and the bit falls.
    own = side * side - 1 - (reach * side + reach)
    bit = (own - (down * side + right)).flatten().to(word)
    touched = active.to(word) << own
    touched.index_add_(0, partner, (active & (partner != place)).to(word) << bit)

    # From the number of the bit, plus 1, to the node, relative to the place. No bit: never touched yet.
    offset = torch.arange(side * side - 1, -1, -1, device=place.device)
    back = (offset // side - reach) * wide + offset % side - reach
    node = torch.cat([back.new_tensor([2 * total]), total - back]).to(place.dtype)
    node[own + 1] = 0

    def last(at: Tensor, visits: Tensor) -> Tensor:
        """The node that holds what is at a place, given the visits that touched it so far."""
        lowest = (visits & -visits).float()  # a power of two, which float32 holds exactly, or 0
        number = (lowest.view(torch.int32) >> 23).bitwise_and_(0xFF)  # its exponent, plus 127
        return node.index_select(0, number.sub_(126).clamp_(min=0)).add_(at)

    # After its visit a place holds what was its partner's, and the partner's place what was its own.
    after_own = last(partner, touched.index_select(0, partner) & -(2 << bit))
    return last(place, touched), torch.cat([after_own, last(place, touched & (-2 << own))])


def _walk(start: Tensor, links: Tensor) -> Tensor:
    """Follow the links from each start until a node has none, i.e. is `len(links)` or more."""
    total = len(start)
    ends = torch.arange(len(links), len(links) + total, device=links.device, dtype=links.dtype)
    onward = torch.cat([links, ends])  # an end leads to itself
    out = start
    for _ in range(4):  # most walks are over by then; picking out the others costs more than a step
        out = onward.index_select(0, out)
    left = (out < len(links)).nonzero().squeeze(1)
    at = out[left]
    while bool((at < len(links)).any()):
        at = onward.index_select(0, at)
    out[left] = at
    return out
