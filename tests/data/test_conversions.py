"""Names and numbers of converted weights: tiny hand-made inputs, and a second road for MobileNetV2."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tether.data.conversions import dinov2_s, folder, minilm_l3, mobilenet_v2
from tether.data.conversions.onnx_file import Graph, Node, read_onnx
from tether.data.conversions.onnx_names import feeding, named
from tether.errors import RequestError

W = np.arange(6, dtype=np.float32).reshape(2, 3)  # (in, out), as ONNX multiplies


def varint(n):
    digits = []
    while n > 0x7F:
        digits.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*digits, n])


def field(number, value):
    """A field of the wire format: an integer, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array, packed=False):
    dims = (
        field(1, b"".join(varint(n) for n in array.shape))
        if packed
        else b"".join(field(1, n) for n in array.shape)
    )
    kind = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}[array.dtype]
    return field(5, dims + field(2, kind) + field(8, name.encode()) + field(9, array.tobytes()))


def node(op, inputs, outputs):
    return field(1, b"".join([*(field(1, i) for i in inputs), *(field(2, o) for o in outputs), field(4, op)]))


def model(*parts):
    fixed = bytes([9 << 3 | 5, 1, 2, 3, 4, 10 << 3 | 1]) + bytes(
        8
    )  # a field of 4 and one of 8 bytes, passed over
    return field(1, 300) + field(7, b"".join(parts)) + fixed  # 300: an integer of two digits


def test_an_onnx_file_is_read(tmp_path):
    path = tmp_path / "x.onnx"
    big = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    parts = [
        tensor("w", W),
        tensor("big", big, packed=True),
        tensor("shape", np.array([1, 2], dtype=np.int64)),
    ]
    path.write_bytes(model(node(b"MatMul", [b"x", b"w"], [b"y"]), *parts))
    graph = read_onnx(path)
    assert graph.nodes == (Node("MatMul", ("x", "w"), ("y",)),)
    assert graph.tensors.keys() == {"w", "big"}
    assert np.array_equal(graph.tensors["w"], W)
    assert np.array_equal(graph.tensors["big"], big)


@pytest.mark.parametrize("fault", ["empty", "cut", "short tensor"])
def test_a_broken_onnx_file_is_refused(tmp_path, fault):
    whole = model(tensor("w", W))
    short = field(7, field(5, field(1, 7) + field(2, 1) + field(8, b"w") + field(9, W.tobytes())))
    (tmp_path / "x.onnx").write_bytes({"empty": b"", "cut": whole[:40], "short tensor": short}[fault])
    with pytest.raises(RequestError, match="does not read as one"):
        read_onnx(tmp_path / "x.onnx")


@pytest.mark.parametrize("bias_first", [False, True])
def test_a_product_is_named_by_the_bias_added_to_it(bias_first):
    added = ("a.bias", "y") if bias_first else ("y", "a.bias")
    nodes = (
        Node("MatMul", ("x", "onnx::7"), ("y",)),
        Node("Add", added, ("z",)),
        Node("MatMul", ("z", "z"), ("q",)),
    )
    tensors = named(Graph(nodes, {"onnx::7": W, "a.bias": np.zeros(3, np.float32), "n.weight": W}))
    assert tensors.keys() == {"a.weight", "a.bias", "n.weight"}
    x = torch.arange(8.0).reshape(4, 2)  # whole numbers: no rounding in either order of summation
    assert torch.equal(F.linear(x, torch.from_numpy(tensors["a.weight"].copy())), x @ torch.from_numpy(W))


def test_two_products_with_one_bias_are_refused():
    nodes = [Node("MatMul", ("x", f"onnx::{i}"), (f"y{i}",)) for i in range(2)]
    nodes += [Node("Add", (f"y{i}", "a.bias"), (f"z{i}",)) for i in range(2)]
    graph = Graph(tuple(nodes), {"onnx::0": W, "onnx::1": W, "a.bias": np.zeros(3, np.float32)})
    with pytest.raises(RequestError, match=r"one weight beside 'a\.bias'"):
        named(graph)


def test_minilm_names():
    tensors = {"model.0.auto_model.encoder.layer.0.output.dense.bias": W, "other": W}
    assert list(minilm_l3.rename(tensors)) == ["encoder.layer.0.output.dense.bias"]


def test_dinov2_positions_are_joined_again():
    cls, patches = np.full((1, 1, 2), 7, np.float32), np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    nodes = (
        Node("Reshape", ("onnx::Reshape_2", "shape"), ("grid",)),
        Node("Concat", ("onnx::Concat_1", "grid"), ("positions",)),
    )
    tensors = {
        "onnx::Concat_1": cls,
        "onnx::Reshape_2": patches,
        "backbone.layernorm.bias": W,
        "head.bias": W,
    }
    state = dinov2_s.rename(Graph(nodes, tensors))
    assert state.keys() == {"layernorm.bias", "embeddings.position_embeddings", "embeddings.mask_token"}
    assert state["embeddings.position_embeddings"].tolist() == [[[7, 7], [0, 1], [2, 3], [4, 5], [6, 7]]]
    assert state["embeddings.mask_token"].tolist() == [[0, 0]]
    with pytest.raises(RequestError, match="got \\[\\]"):
        feeding(Graph(nodes, {}), "Concat")


# Table 2 of Sandler et al., 2018 (arXiv 1801.04381): expansion, channels, repeats, stride of the first.
TABLE = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def torchvision_state(seed=0):
    """Random weights under torchvision's names, with normalisations that are not the identity."""
    g = torch.Generator().manual_seed(seed)
    state = {}

    def layer(conv, norm, c_in, c_out, side, groups=1):
        fan = c_in // groups * side * side
        state[f"{conv}.weight"] = (
            torch.randn(c_out, c_in // groups, side, side, generator=g) * (2 / fan) ** 0.5
        )
        state[f"{norm}.weight"] = torch.rand(c_out, generator=g) + 0.5
        state[f"{norm}.bias"] = torch.randn(c_out, generator=g) * 0.1
        state[f"{norm}.running_mean"] = torch.randn(c_out, generator=g) * 0.1
        state[f"{norm}.running_var"] = torch.rand(c_out, generator=g) * 0.5 + 0.5
        state[f"{norm}.num_batches_tracked"] = torch.tensor(0)

    layer("features.0.0", "features.0.1", 3, 32, 3)
    c_in = 32
    for i, (t, c, _) in enumerate(blocks(), start=1):
        path, n = f"features.{i}.conv", 0
        if t > 1:
            layer(f"{path}.0.0", f"{path}.0.1", c_in, c_in * t, 1)
            n = 1
        layer(f"{path}.{n}.0", f"{path}.{n}.1", c_in * t, c_in * t, 3, groups=c_in * t)
        layer(f"{path}.{n + 1}", f"{path}.{n + 2}", c_in * t, c, 1)
        c_in = c
    layer("features.18.0", "features.18.1", c_in, 1280, 1)
    state["classifier.1.weight"] = torch.randn(1000, 1280, generator=g) * 0.03
    state["classifier.1.bias"] = torch.randn(1000, generator=g)
    return state


def blocks():
    return [(t, c, s if j == 0 else 1) for t, c, n, s in TABLE for j in range(n)]


def reference(state, x):
    """MobileNetV2 as torchvision computes it, by its names: padding (k - 1) / 2, eps 1e-5, ReLU6."""

    def conv(x, conv, norm, stride=1, groups=1, act=True):
        w = state[f"{conv}.weight"]
        x = F.conv2d(x, w, stride=stride, padding=w.shape[-1] // 2, groups=groups)
        stats = [state[f"{norm}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *stats, training=False, eps=1e-5)
        return x.clamp(0, 6) if act else x

    x = conv(x, "features.0.0", "features.0.1", stride=2)
    for i, (t, c, stride) in enumerate(blocks(), start=1):
        path, n, y = f"features.{i}.conv", 0, x
        if t > 1:
            y, n = conv(y, f"{path}.0.0", f"{path}.0.1"), 1
        y = conv(y, f"{path}.{n}.0", f"{path}.{n}.1", stride=stride, groups=y.shape[1])
        y = conv(y, f"{path}.{n + 1}", f"{path}.{n + 2}", act=False)
        x = x + y if stride == 1 and x.shape[1] == c else y
    x = conv(x, "features.18.0", "features.18.1").mean((2, 3))
    return F.linear(x, state["classifier.1.weight"], state["classifier.1.bias"])


def test_transformers_computes_what_torchvision_does(tmp_path):
    """An odd side too: there TensorFlow's padding, the library's default, differs most."""
    from transformers import MobileNetV2ForImageClassification

    state = torchvision_state()
    folder.write_folder(tmp_path / "model", mobilenet_v2.CONFIG, mobilenet_v2.rename(state))
    model, report = MobileNetV2ForImageClassification.from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    assert not any(report.values())  # no key missing, unexpected or of another shape
    x = torch.randn(2, 3, 49, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        # Another order of summation through 53 layers: float32 keeps four digits.
        torch.testing.assert_close(model.eval()(x).logits, reference(state, x), rtol=1e-4, atol=1e-4)


def test_a_key_of_another_model_is_refused():
    with pytest.raises(KeyError, match=r"layer1\.0\.conv1\.weight"):
        mobilenet_v2.rename({"layer1.0.conv1.weight": torch.zeros(1)})
