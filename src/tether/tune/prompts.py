"""Visual prompt tuning: learnable tokens beside a frozen transformer's (Jia et al. 2022; METHODS 6, vpt)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from tether.batch import concatenate
from tether.errors import RequestError
from tether.models.backbone import Backbone, HasBlank, Rate
from tether.models.discover import is_convolutional
from tether.models.model import Model
from tether.models.prompts import Prompts, hang, prompts_of
from tether.tune.tuning import Groups, Tuning, freeze, release_heads

# AdamW on numbers of about 0.1; a starting point, not tuned. METHODS' rates, 0.05 to 50, are SGD's.
LR = 5e-3
CONVOLUTIONAL = "it is a convolutional network, which has no tokens to put prompts beside"


def prompts(
    count: int = 10, deep: bool = True, dropout: float = 0.1, lr: float = LR, head: bool = True
) -> Tuning:
    """P tokens after the class token, and the head; the network stays as it was.

    They start uniform within sqrt(6 / (3 patch^2 + D)); for texts, which have no patches, D stands for
    3 patch^2. So the student is not the initial model at step 0.

    Args:
        count: p.
        deep: fresh prompts at each block; else they enter the first block and pass through all.
        dropout: on the prompts.
        lr: of the prompts; `train.lr` overrides it.
        head: whether the head trains too.

    Raises:
        RequestError: a count below 0; when applied, a network that is no transformer with a class token.

    Example:
        >>> prompts(count=5).name
        'prompts'
    """
    if count < 0 or not 0.0 <= dropout < 1.0:
        raise RequestError(
            f"prompts: expected a count of at least 0 and a dropout in [0, 1), got {count} and {dropout}"
        )

    def apply(model: Model) -> Groups:
        width = token_width(model.backbone)
        freeze(model)
        blocks = model.backbone.blocks()
        values = _drawn((len(blocks) if deep else 1, count, width), model.backbone.network, blocks)
        added = Prompts(values.to(next(model.parameters()).device), blocks, dropout)
        hang(model.backbone, added)
        model.switches.append(added.off)
        groups: dict[str, list[nn.Parameter]] = {"prompt": [added.values]} if count else {}
        if not count:
            added.values.requires_grad_(False)
        if head:
            groups["head"] = release_heads(model)
        return groups

    def fits(backbone: Backbone) -> None:
        token_width(backbone)

    curved = "prompts start at random numbers, where the model is not the initial one"
    return Tuning("prompts", apply, shares_base=True, curved=curved, rates={"prompt": Rate(lr)}, fits=fits)


def _drawn(shape: tuple[int, ...], network: nn.Module, blocks: Any) -> Tensor:
    """Uniform numbers from a generator of the run's seed, which no other draw moves."""
    inside = {id(m) for block in blocks for m in block.modules()}
    stems = [m for m in network.modules() if isinstance(m, nn.Conv2d) and id(m) not in inside]
    fan_in = stems[0].weight[0].numel() if stems else shape[-1]  # channels x patch x patch
    bound = math.sqrt(6.0 / (fan_in + shape[-1]))
    generator = torch.Generator().manual_seed(torch.initial_seed())
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def token_width(backbone: Backbone) -> int:
    """D of the tokens that every block takes and gives, learnt from two runs on blank input.

    Raises:
        RequestError: a network without such tokens, with the reason.
    """
    network, blocks = type(backbone.network).__name__, backbone.blocks()
    if prompts_of(backbone) is not None:
        raise _refused(network, "it carries prompts already")
    if is_convolutional(blocks):
        raise _refused(network, CONVOLUTIONAL)
    if not isinstance(backbone, HasBlank):
        raise _refused(
            network, "it makes no blank input to try prompts on (a method `blank` of its backbone)"
        )
    width = _look(backbone, network)
    trial = Prompts(torch.zeros(1, 1, width, device=next(backbone.network.parameters()).device), blocks)
    try:
        with torch.no_grad():
            backbone.encode(concatenate([backbone.blank()] * 2))
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as e:
        raise _refused(network, f"its blocks refuse a longer sequence ({str(e).splitlines()[0]})") from e
    finally:
        trial.remove()
    return width


def _look(backbone: Any, network: str) -> int:
    """Run two blank samples, the second with its last token turned round, and look at every block."""
    blocks = backbone.blocks()
    came: list[tuple[int, Tensor]] = []
    left: list[tuple[int, Tensor]] = []

    def before(index: int) -> Any:
        def hook(_block: nn.Module, args: Any, kwargs: Any) -> Any:
            x = args[0] if args else next(iter(kwargs.values()), None)
            if not isinstance(x, Tensor):
                return None
            if index == 0 and x.dim() == 3 and len(x) == 2:
                x = x.clone()
                x[1, -1] = -x[1, -1].roll(1)
                came.append((index, x))
                return ((x, *args[1:]), kwargs) if args else (args, {**kwargs, next(iter(kwargs)): x})
            came.append((index, x))
            return None

        return hook

    def after(index: int) -> Any:
        def hook(_block: nn.Module, _args: Any, output: Any) -> None:
            h = output[0] if isinstance(output, tuple) else output
            if isinstance(h, Tensor):
                left.append((index, h))

        return hook

    handles = [b.register_forward_pre_hook(before(i), with_kwargs=True) for i, b in enumerate(blocks)]
    handles += [b.register_forward_hook(after(i)) for i, b in enumerate(blocks)]
    try:
        with torch.no_grad():
            backbone.encode(concatenate([backbone.blank()] * 2))
    finally:
        for handle in handles:
            handle.remove()
    order = list(range(len(blocks)))
    if [i for i, _ in came] != order or [i for i, _ in left] != order:
        raise _refused(network, "its blocks do not each run once, in order")
    if any(t.dim() == 4 for _, t in came):
        raise _refused(network, CONVOLUTIONAL)
    shapes = {tuple(t.shape) for _, t in (*came, *left)}
    if len(shapes) != 1 or len(only := next(iter(shapes))) != 3 or only[0] != 2:
        raise _refused(
            network, f"its blocks do not all take tokens (B, T, D) of one size, got {sorted(shapes)}"
        )
    if only[1] < 2:
        raise _refused(network, "a short input has a single token, so there is no class token among others")
    first = left[-1][1][:, 0]
    if torch.equal(first[0], first[1]):
        raise _refused(network, "its first token does not see the others: it reads from left to right")
    return only[2]


def _refused(network: str, reason: str) -> RequestError:
    return RequestError(
        f"prompts: expected a transformer whose blocks all read a class token and the others, got {network}: "
        f"{reason}; use another method, such as lora"
    )
