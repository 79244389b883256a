"""The zero-shot head: class names through the text tower, the `zs` of METHODS 1.2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tether.errors import RequestError

TEMPLATES = ("a photo of a {}.",)


class ZeroShotHead(nn.Module):
    """logits = exp(log_scale) * norm(phi) . norm(w_c) + bias.

    What trains (as in WiSE-FT) is the class weights w, raw: the forward pass normalises them, so that an
    interpolation of two heads interpolates raw weights and then renormalises; and the logarithm of the
    scale, so that the scale is interpolated in log space (METHODS 1.11). `bias` is SigLIP's; one number
    for all classes changes no probability, so it does not train.

    Args:
        weight: class weights (C, D), at the start the class embeddings t_c.
        log_scale: logarithm of the logit scale, about log 100 for CLIP.
        bias: added to every logit.

    Example:
        >>> ZeroShotHead(torch.eye(3), 0.0)(torch.tensor([[2.0, 0.0, 0.0]])).tolist()
        [[1.0, 0.0, 0.0]]
    """

    bias: Tensor

    def __init__(self, weight: Tensor, log_scale: float, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.log_scale = nn.Parameter(torch.tensor(float(log_scale)))
        self.register_buffer("bias", torch.tensor(float(bias)))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, C) of features (B, D)."""
        # In bf16 a cosine times 100 moves in steps of 0.4: this small product stays in fp32.
        with torch.autocast(features.device.type, enabled=False):
            phi = nn.functional.normalize(features.float(), dim=-1)
            return self.log_scale.exp() * phi @ nn.functional.normalize(self.weight, dim=-1).T + self.bias


def class_embeddings(
    encode: Callable[[list[str]], Tensor],
    classes: Sequence[str],
    templates: Sequence[str] = TEMPLATES,
    gradient: bool = False,
) -> Tensor:
    """t_c: the normalised mean of a class's normalised template embeddings, (C, D).

    Args:
        encode: texts to text features (N, D), not yet normalised.
        classes: names; an underscore is read as a space.
        templates: each with one {} for the name.
        gradient: keep the graph, for a text tower that trains; all prompts then go through it at once.

    Raises:
        RequestError: a template without {}.
    """
    wrong = [t for t in templates if "{}" not in t]
    if wrong or not templates:
        raise RequestError(
            f"model.templates: expected texts with {{}} where the class name goes, got {list(templates)}"
        )
    texts = [[t.replace("{}", name.replace("_", " ")) for t in templates] for name in classes]
    if gradient:
        found = nn.functional.normalize(encode([t for row in texts for t in row]), dim=-1)
        means = found.view(len(classes), len(templates), -1).mean(1)
    else:
        with torch.no_grad():
            means = torch.stack([nn.functional.normalize(encode(row), dim=-1).mean(0) for row in texts])
    return nn.functional.normalize(means, dim=-1)
