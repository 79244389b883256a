"""What the text attacks ask of a backbone, as its members are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from tether.batch import Batch
from tether.errors import RequestError


class TokensOf(Protocol):
    """Tokens of B texts: ids (B, T), mask (B, T), free (B, T), spans (B, T, 2) or None."""

    @property
    def ids(self) -> Tensor:
        """Token ids."""
        ...

    @property
    def mask(self) -> Tensor:
        """Which are no padding."""
        ...

    @property
    def free(self) -> Tensor:
        """Which are neither padding nor special."""
        ...

    @property
    def spans(self) -> Tensor | None:
        """First and last-plus-one character."""
        ...


class ReadsTokens(Protocol):
    """A text backbone that shows its tokens and embedding table."""

    tokenizer: Any

    @property
    def family(self) -> str:
        """The space of its embeddings."""
        ...

    @property
    def table(self) -> Tensor:
        """The token embeddings (V, D)."""
        ...

    def tokens(self, texts: Sequence[str], spans: bool = False) -> TokensOf:
        """Texts taken apart."""
        ...

    def look_up(self, ids: Tensor) -> Tensor:
        """Token ids to embeddings."""
        ...


_MEMBERS = ("tokens", "look_up", "table", "family", "tokenizer")


def token_backbone(name: str, model: Any) -> ReadsTokens:
    """The model's backbone, if it shows its tokens.

    Raises:
        RequestError: another kind of model, or none.
    """
    backbone = getattr(model, "backbone", None)
    if backbone is None or any(not hasattr(backbone, member) for member in _MEMBERS):
        raise RequestError(
            f"{name}: expected a text model of the transformers library, whose token embeddings can be "
            f"changed, got {type(backbone or model).__name__}; use another shift for this model"
        )
    found: ReadsTokens = backbone
    return found


def embedded(backbone: ReadsTokens, batch: Batch, x: Tensor, mask: Tensor) -> Batch:
    """The batch with these token embeddings (B, T, D) for its texts."""
    return Batch(x, batch.y.to(x.device), batch.ids.to(x.device), batch.group, mask, backbone.family)
