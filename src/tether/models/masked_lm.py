"""The masked-word head that a BERT-like model was pretrained with, beside the encoder that is tuned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.loaded import Loaded
from tether.models.text import TextBackbone

WHY = "choose another teacher_head, such as logits or anchor"


class _Given(nn.Module):
    """Stands where the encoder stood, and gives the states it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.states: Tensor | None = None

    def forward(self, *_: Any, **__: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=self.states)


class WordHead(nn.Module):
    """Words from the last block's states: frozen, and the same for student and initial model.

    Args:
        network: a `...ForMaskedLM`; its encoder is taken out.
        mask: the masking token's row of the embedding table, (D,).
        block: index of the block whose output the head reads.
    """

    mask: Tensor

    def __init__(self, network: nn.Module, mask: Tensor, block: int) -> None:
        super().__init__()
        whole: Any = network
        self._given = _Given()
        setattr(whole, whole.base_model_prefix, self._given)
        self.network = network
        self.block = block
        self.register_buffer("mask", mask.detach().clone())
        self.requires_grad_(False)
        self.eval()

    def forward(self, states: Tensor) -> Tensor:
        """Logits over the vocabulary (M, V) of states (M, D); a gradient flows to the states."""
        self._given.states = states.unsqueeze(0)
        try:
            logits: Tensor = self.network(inputs_embeds=states.unsqueeze(0)).logits
        finally:
            self._given.states = None
        return logits[0]

    def masked(self, embedded: Tensor) -> Tensor:
        """Which token embeddings (B, T, D) are the masking token's, (B, T) bool."""
        return (embedded == self.mask).all(-1)


def word_head(loaded: Loaded, config: ModelConfig) -> WordHead:
    """The head of the checkpoint that `loaded` was read from.

    Raises:
        RequestError: a model without such a head: pictures, a decoder, an encoder saved without it (sentence
            encoders are), or one whose head reads something else than the last block's states.
    """
    import transformers

    backbone = loaded.backbone
    described: Any = getattr(backbone, "config", None)
    if (
        not isinstance(backbone, TextBackbone)
        or type(described) not in transformers.MODEL_FOR_MASKED_LM_MAPPING
    ):
        kind = getattr(described, "model_type", type(backbone).__name__)
        raise RequestError(
            f"teacher_head mlm: expected a text model that fills masks, as BERT does, got {kind}; {WHY}"
        )
    tokenizer = backbone.tokenizer
    if tokenizer.mask_token_id is None:
        raise RequestError(f"teacher_head mlm: {loaded.source} has no masking token; {WHY}")
    network, notes = transformers.AutoModelForMaskedLM.from_pretrained(
        loaded.source,
        revision=config.revision,
        trust_remote_code=False,
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
    )
    drawn = sorted(set(notes["missing_keys"]) & {name for name, _ in network.named_parameters()})
    if drawn:
        raise RequestError(
            f"teacher_head mlm: {loaded.source} was saved without its masked-word head ({drawn[0]} is "
            f"missing), as sentence encoders are; {WHY}"
        )
    return _checked(network.eval(), backbone, loaded.source)


def _checked(network: Any, backbone: TextBackbone, source: str) -> WordHead:
    """The head, if it gives what the whole model gives from the last block's states."""
    tokens = backbone.tokens(("a",))
    block = len(backbone.blocks()) - 1
    device = next(network.parameters()).device
    with torch.no_grad():
        expected = network(
            input_ids=tokens.ids.to(device), attention_mask=tokens.mask.long().to(device)
        ).logits
        states = backbone.encode(backbone.blank(), (block,)).hidden[block].to(device)
        head = WordHead(
            network, backbone.look_up(torch.tensor(backbone.tokenizer.mask_token_id)).to(device), block
        )
        got = head(states[0])
    if not torch.allclose(got, expected[0], rtol=1e-3, atol=1e-3):
        raise RequestError(
            f"teacher_head mlm: the masked-word head of {source} reads something else than its last block's "
            f"states; {WHY}"
        )
    return head
