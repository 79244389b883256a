"""Models of the transformers library, by folder or hub name: which adapter reads one, and how."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from tether.errors import RequestError
from tether.models.class_sentences import sentence_head
from tether.models.config import ModelConfig
from tether.models.discover import Plain
from tether.models.heads import LinearHead, linear_head
from tether.models.images import TransformersImages
from tether.models.loaded import Loaded
from tether.models.pixels import Pixels, processor_json, read_pixels
from tether.models.text import TextBackbone, longest
from tether.models.two_tower import TwoTowerImages

Kind = Literal["text", "image", "two-tower"]
USUAL_LENGTH = 128  # tokens kept of a text unless the config says otherwise


def load_transformers(where: str, config: ModelConfig, fingerprint: str) -> Loaded:
    """Load a folder or hub model of the transformers library.

    No code from the hub ever runs, and a pickled checkpoint is refused.

    Raises:
        RequestError: not such a model, or one whose layout no adapter reads.
    """
    import transformers
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()  # "some weights were not used": expected when a head is replaced
    described = _or_request(
        lambda: transformers.AutoConfig.from_pretrained(
            where, revision=config.revision, trust_remote_code=False
        ),
        where,
    )
    load = {"text": _text, "image": _images, "two-tower": _two_tower}[kind_of(described)]
    return load(where, config, described, fingerprint)


def kind_of(described: Any) -> Kind:
    """What a transformers config is of, by the classes the library itself has for it."""
    import transformers

    architecture = _architecture(described)
    if architecture.endswith("ForImageClassification"):
        return "image"
    if architecture.endswith("ForSequenceClassification"):
        return "text"
    plain = _first(transformers.MODEL_MAPPING, described)
    if plain is not None and hasattr(plain, "get_image_features") and hasattr(plain, "get_text_features"):
        return "two-tower"
    if getattr(plain, "main_input_name", "") == "pixel_values":
        return "image"
    return "text"


def _text(where: str, config: ModelConfig, described: Any, fingerprint: str) -> Loaded:
    import transformers

    if getattr(described, "is_encoder_decoder", False):
        raise RequestError(
            f"model: {where} is an encoder-decoder ({described.model_type}); expected an encoder or a "
            "decoder alone; choose one of those"
        )
    pooling = config.pooling
    if pooling == "auto":
        pooling = "head" if _is_classifier(described) or _is_decoder(described) else "mean"
    network = _network(
        transformers.AutoModelForSequenceClassification if pooling == "head" else transformers.AutoModel,
        where,
        config,
    )
    tokenizer = _tokenizer(where, config)
    limit = longest(network, tokenizer)
    if config.max_length is not None and config.max_length > limit:
        raise RequestError(
            f"model.max_length: {where} reads at most {limit} tokens, got {config.max_length}; choose fewer"
        )
    backbone = TextBackbone(network, tokenizer, pooling, config.max_length or min(limit, USUAL_LENGTH))
    head, classes = _own_head(backbone.own, described, "ForSequenceClassification")
    biased = backbone.own is None or backbone.own[1] is not None
    sentences = partial(sentence_head, backbone, templates=config.templates) if pooling == "mean" else None
    return Loaded(backbone, head, classes, fingerprint, where, bias=biased, by_name=sentences)


def _images(where: str, config: ModelConfig, described: Any, fingerprint: str) -> Loaded:
    import transformers

    fitting = _first(transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, described)
    if _architecture(described).endswith("WithTeacher"):
        raise RequestError(
            f"model: {where} averages two classification heads ({_architecture(described)}); expected "
            "a model with one; choose its variant without a distillation head"
        )
    pooling = config.pooling
    if pooling == "auto":
        # A bare encoder is read through its library's own classification class: what that class gives
        # its last layer is then exactly what ours gets, and the result is saved as that class.
        pooling = "head" if fitting is not None else "cls"
    if pooling == "head" and fitting is None:
        raise RequestError(
            f"model.pooling: transformers has no image classifier of type {described.model_type}; expected "
            "pooling cls or mean"
        )
    network = _network(fitting if pooling == "head" else transformers.AutoModel, where, config)
    backbone = TransformersImages(network, pooling, _pixels(where, config, described, network))
    head, classes = _own_head(backbone.own, described, "ForImageClassification")
    return Loaded(backbone, head, classes, fingerprint, where)


def _two_tower(where: str, config: ModelConfig, described: Any, fingerprint: str) -> Loaded:
    import transformers

    if described.model_type == "siglip2":
        raise RequestError(
            "model: expected a model that takes pictures, the flexible-resolution SigLIP 2 takes patches; "
            "choose a fixed-resolution one"
        )
    whole = _network(transformers.AutoModel, where, config)
    pixels = _pixels(where, config, described.vision_config, whole)
    backbone = TwoTowerImages(whole, _tokenizer(where, config), pixels, config.templates)
    return Loaded(
        backbone,
        None,
        None,
        fingerprint,
        where,
        make_head=lambda classes: backbone.zero_shot(classes, config.templates),
    )


def _network(auto: Any, where: str, config: ModelConfig) -> torch.nn.Module:
    def load() -> torch.nn.Module:
        # Weights that the checkpoint lacks (a pooler, say) are drawn; from one seed: M_0 is one model.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network: torch.nn.Module = auto.from_pretrained(
                where,
                revision=config.revision,
                trust_remote_code=False,
                dtype=torch.float32,
                use_safetensors=True,  # a pickled checkpoint is refused, not unpickled
            )
        return network.eval()

    network: torch.nn.Module = _or_request(load, where)
    return network


def _tokenizer(where: str, config: ModelConfig) -> Any:
    import transformers

    return _or_request(
        lambda: transformers.AutoTokenizer.from_pretrained(
            where, revision=config.revision, trust_remote_code=False
        ),
        where,
    )


def _pixels(where: str, config: ModelConfig, described: Any, network: torch.nn.Module) -> Pixels:
    from transformers.utils import cached_file

    found: Path | None = None
    for name in ("preprocessor_config.json", "processor_config.json"):
        path = cached_file(
            where, name, revision=config.revision,
            _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False,
        )  # fmt: skip
        if found is None and path is not None:
            found = Path(path)
    side = getattr(described, "image_size", None) or 224
    side = side if isinstance(side, int) else max(side)
    return read_pixels(None if found is None else processor_json(found), side, network)


def _own_head(
    own: Plain | None, described: Any, ending: str
) -> tuple[LinearHead | None, tuple[str, ...] | None]:
    """The head the checkpoint was saved with; not one that was drawn because it had none."""
    if own is None or not _architecture(described).endswith(ending):
        return None, None
    return linear_head(*own), tuple(str(described.id2label[i]) for i in range(int(described.num_labels)))


def _architecture(described: Any) -> str:
    return str((getattr(described, "architectures", None) or [""])[0])


def _is_classifier(described: Any) -> bool:
    return _architecture(described).endswith("ForSequenceClassification")


def _is_decoder(described: Any) -> bool:
    """A language model that reads left to right: the library generates with it and cannot fill masks."""
    import transformers

    return (
        type(described) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        and type(described) not in transformers.MODEL_FOR_MASKED_LM_MAPPING
        and type(described) in transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    )


def _first(mapping: Any, described: Any) -> Any:
    """The class a mapping has for a config, the first where it has several."""
    if type(described) not in mapping:
        return None
    found = mapping[type(described)]
    return found[0] if isinstance(found, tuple | list) else found


def _or_request(load: Callable[[], Any], where: str) -> Any:
    try:
        return load()
    except (OSError, ValueError, KeyError) as e:
        first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise RequestError(
            f"model: expected {where} to be a transformers model with safetensors weights and a tokenizer; "
            f"loading it said: {first}"
        ) from e
