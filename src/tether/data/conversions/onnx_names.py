"""Give weights back the names they had before a model was exported to ONNX."""

from __future__ import annotations

from tether.data.conversions.onnx_file import Floats, Graph
from tether.errors import RequestError


def named(graph: Graph) -> dict[str, Floats]:
    """The graph's tensors under their PyTorch names, those of `nn.Linear` as (out, in).

    The exporter of PyTorch keeps a parameter's name, but folds the transpose of x @ W.T into a linear layer's
    weight, which then has a number for a name. It is known by the bias that the next Add adds to its product.

    Raises:
        RequestError: when two weights claim one bias.
    """
    tensors = dict(graph.tensors)
    # Either input of an Add may be the bias.
    bias_of = {
        x: b
        for node in graph.nodes
        if node.op == "Add"
        for x, b in (node.inputs, node.inputs[::-1])
        if b in graph.tensors and b.endswith(".bias")
    }
    for node in graph.nodes:
        if node.op != "MatMul" or node.inputs[1] not in tensors:
            continue
        bias = bias_of.get(node.outputs[0])
        if bias is None:  # a projection without bias keeps its number
            continue
        name = bias.removesuffix("bias") + "weight"
        if name in tensors:
            raise RequestError(f"expected one weight beside {bias!r} in the ONNX graph, there are two")
        tensors[name] = tensors.pop(node.inputs[1]).T
    return tensors


def feeding(graph: Graph, op: str) -> Floats:
    """The one unnamed tensor (`onnx::...`) that an operation of the kind `op` reads.

    Raises:
        RequestError: when there is none or more than one.
    """
    found = {
        name for node in graph.nodes if node.op == op for name in node.inputs if name.startswith("onnx::")
    }
    found &= set(graph.tensors)
    if len(found) != 1:
        raise RequestError(
            f"expected one unnamed tensor that a {op} reads in the ONNX graph, got {sorted(found)}"
        )
    return graph.tensors[found.pop()]
