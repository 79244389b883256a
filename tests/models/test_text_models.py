"""Text models of transformers, each layout on a tiny random network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from contract import keep_the_contract, stirred
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from tether.batch import Batch
from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.load import load_backbone
from tether.models.text import until_last
from tiny import WORDS, tiny_texts

SMALL = {
    "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 40,
}  # fmt: skip
DECODER = {"bos_token_id": 2, "eos_token_id": 3}


def distilbert() -> Any:
    return hf.DistilBertConfig(
        vocab_size=len(WORDS), dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=40
    )


def modernbert() -> Any:
    return hf.ModernBertConfig(
        **SMALL, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3
    )


def deberta() -> Any:
    return hf.DebertaV2Config(
        **SMALL, pooler_hidden_size=16, relative_attention=True, pos_att_type=["p2c", "c2p"],
        position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True, position_biased_input=False,
    )  # fmt: skip


# name -> (encoder class, config, poolings that are saved as the library's own class)
ENCODERS: dict[str, tuple[Any, Callable[[], Any], tuple[str, ...]]] = {
    "bert": (hf.BertModel, lambda: hf.BertConfig(**SMALL), ("mean", "cls", "head")),
    "roberta": (
        hf.RobertaModel,
        lambda: hf.RobertaConfig(**SMALL, pad_token_id=0),
        ("mean", "cls", "head"),
    ),
    "distilbert": (hf.DistilBertModel, distilbert, ("cls", "head")),
    "modernbert": (hf.ModernBertModel, modernbert, ("head",)),
    "deberta-v2": (hf.DebertaV2Model, deberta, ("cls", "head")),
    "electra": (
        hf.ElectraModel,
        lambda: hf.ElectraConfig(**SMALL, embedding_size=8),
        ("mean", "cls", "head"),
    ),
}
DECODERS: dict[str, tuple[Any, Callable[[], Any]]] = {
    "gpt2": (
        hf.GPT2LMHeadModel,
        lambda: hf.GPT2Config(
            vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=40, **DECODER
        ),
    ),
    "llama": (
        hf.LlamaForCausalLM,
        lambda: hf.LlamaConfig(**SMALL, num_key_value_heads=1, pad_token_id=None, **DECODER),
    ),
}


def tokenizer(decoder: bool) -> Any:
    whole = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    if decoder:  # adds nothing of its own, and has no padding token
        return hf.PreTrainedTokenizerFast(
            tokenizer_object=whole, model_max_length=32, eos_token="[SEP]", unk_token="[UNK]"
        )
    whole.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=whole, model_max_length=32, pad_token="[PAD]", unk_token="[UNK]",
        cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip


def saved(folder: Path, made: Any, config: Any, decoder: bool = False) -> Path:
    torch.manual_seed(0)
    stirred(made(config)).save_pretrained(folder)
    tokenizer(decoder).save_pretrained(folder)
    return folder


def by_transformers(folder: Path, texts: tuple[str, ...] | None = None) -> Tensor:
    network = hf.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    coded = hf.AutoTokenizer.from_pretrained(folder)(
        list(texts or tiny_texts(4).x), padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        return network(input_ids=coded["input_ids"], attention_mask=coded["attention_mask"]).logits


@pytest.mark.parametrize("pooling", ["mean", "cls", "head"])
@pytest.mark.parametrize("name", ENCODERS)
def test_contract_of_encoders(name: str, pooling: str, tmp_path: Path) -> None:
    made, config, own_class = ENCODERS[name]
    folder = saved(tmp_path / "m", made, config())
    loaded = load_backbone(ModelConfig(name=str(folder), pooling=pooling))
    assert loaded.head is None  # an encoder has none; one that was drawn for it is not its own
    out = tmp_path / "out"
    keep_the_contract(loaded.backbone, tiny_texts(4), out, by_transformers if pooling in own_class else None)
    assert (out / "head.safetensors").exists() == (pooling not in own_class)


@pytest.mark.parametrize("name", DECODERS)
def test_contract_of_decoders(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path / "m", *_decoder(name), decoder=True)
    loaded = load_backbone(ModelConfig(name=str(folder)))
    assert "its end token '[SEP]' pads" in capsys.readouterr().err
    assert not loaded.bias  # the library's class has none
    keep_the_contract(loaded.backbone, tiny_texts(4), tmp_path / "out", by_transformers, bias=False)


def _decoder(name: str) -> tuple[Any, Any]:
    made, config = DECODERS[name]
    return made, config()


@pytest.mark.parametrize("name", [*ENCODERS, *DECODERS])
def test_embeddings_give_what_token_ids_give(name: str, tmp_path: Path) -> None:
    decoder = name in DECODERS
    made, config = _decoder(name) if decoder else (ENCODERS[name][0], ENCODERS[name][1]())
    folder = saved(tmp_path / "m", made, config, decoder)
    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    network = hf.AutoModel.from_pretrained(folder).eval()
    embedded = backbone.embed(tiny_texts(4))
    coded = backbone.tokenizer(list(tiny_texts(4).x), padding=True, return_tensors="pt")
    mask = coded["attention_mask"]
    with torch.no_grad():
        by_ids = network(input_ids=coded["input_ids"], attention_mask=mask).last_hidden_state
        by_embeddings = network(inputs_embeds=embedded.x, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(by_embeddings[mask.bool()], by_ids[mask.bool()], rtol=0, atol=1e-6)


def test_a_decoder_reads_the_last_token_whatever_the_padding(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", *_decoder("llama"), decoder=True)
    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    batch = tiny_texts(4)
    together = backbone.encode(batch).features
    for i in range(4):  # alone: no padding at all
        alone = backbone.encode(batch.take([i])).features[0]
        torch.testing.assert_close(together[i], alone, rtol=1e-4, atol=1e-5)
    empty = Batch(("", "good"), torch.zeros(2, dtype=torch.long), torch.arange(2))
    assert torch.isfinite(backbone.encode(empty).features).all()


def test_end_tokens_of_a_text_count_as_the_library_counts_them(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", *_decoder("gpt2"), decoder=True)
    loaded = load_backbone(ModelConfig(name=str(folder)))
    texts = ("good film [SEP]", "bad", "it was [SEP] fine")
    batch = Batch(texts, torch.zeros(3, dtype=torch.long), torch.arange(3))
    weight = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    want = loaded.backbone.encode(batch).features @ weight.T
    loaded.backbone.save(tmp_path / "out", weight, torch.zeros(2), ["no", "yes"])
    torch.testing.assert_close(by_transformers(tmp_path / "out", texts), want, rtol=1e-4, atol=1e-5)


def test_a_bias_that_the_class_cannot_hold_is_kept_beside_it(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", *_decoder("gpt2"), decoder=True)
    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    backbone.save(tmp_path / "out", torch.zeros(2, 16), torch.tensor([1.0, 2.0]), ["no", "yes"])
    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    torch.testing.assert_close(again.head(torch.zeros(1, 16)), torch.tensor([[1.0, 2.0]]))


def test_until_last() -> None:
    valid = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]]).bool()
    assert until_last(valid).int().tolist() == [[1, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]]


def test_too_long_a_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", hf.RobertaModel, hf.RobertaConfig(**SMALL, pad_token_id=0))
    # 40 positions that start after the padding index 0 hold 39 tokens; the tokenizer says 32
    with pytest.raises(RequestError, match="at most 32"):
        load_backbone(ModelConfig(name=str(folder), max_length=33))
