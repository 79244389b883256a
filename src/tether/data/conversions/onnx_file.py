"""Read the weights and the wiring out of an ONNX file, and nothing else of it.

An ONNX file is a protocol buffer: fields, each a number, a wire type and a value, nested by length. That
format is frozen, and the messages needed here take 60 lines; the onnx package would bring a protobuf runtime
of its own version with it, for files whose every byte is pinned.
Source: https://protobuf.dev/programming-guides/encoding/ and the numbers in onnx.proto.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tether.errors import RequestError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
GRAPH = 7  # of ModelProto
NODE, INITIALIZER = 1, 5  # of GraphProto
INPUT, OUTPUT, OP_TYPE = 1, 2, 4  # of NodeProto
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9  # of TensorProto
FLOAT = 1  # of TensorProto.DataType

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Node:
    """One operation with the names of what it reads and writes."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """Operations in order, and the float tensors stored in the file by name."""

    nodes: tuple[Node, ...]
    tensors: dict[str, Floats]


def read_onnx(path: Path) -> Graph:
    """Read an ONNX file.

    Raises:
        RequestError: when it is cut off or no such file, or a float tensor is not stored as raw bytes.

    Example:
        >>> graph = read_onnx(Path("model.onnx"))  # doctest: +SKIP
        >>> graph.tensors["encoder.layer.0.bias"].shape  # doctest: +SKIP
        (384,)
    """
    try:
        whole = dict(_fields(memoryview(path.read_bytes())))
        parts = list(_fields(_block(whole[GRAPH])))
        nodes = tuple(_node(_block(value)) for number, value in parts if number == NODE)
        tensors = dict(t for number, value in parts if number == INITIALIZER for t in _tensor(_block(value)))
    except (KeyError, IndexError, ValueError) as e:
        raise RequestError(
            f"{path}: expected an ONNX file with its weights inside, but it does not read as one ({e}); "
            "remove its folder from the cache and run the command again"
        ) from e
    return Graph(nodes, tensors)


def _node(data: memoryview) -> Node:
    fields = list(_fields(data))

    def words(wanted: int) -> tuple[str, ...]:
        return tuple(str(_block(value), "utf-8") for number, value in fields if number == wanted)

    return Node(words(OP_TYPE)[0], words(INPUT), words(OUTPUT))


def _tensor(data: memoryview) -> Iterator[tuple[str, Floats]]:
    """Name and array; nothing for a tensor of integers, which holds a shape or an index, never a weight."""
    fields = list(_fields(data))
    only = dict(fields)
    if only[DATA_TYPE] != FLOAT:
        return
    shape = [n for number, value in fields if number == DIMS for n in _integers(value)]
    name = str(_block(only[NAME]), "utf-8")
    values = np.frombuffer(_block(only.get(RAW_DATA, memoryview(b""))), dtype="<f4")
    if values.size != math.prod(shape):
        raise ValueError(f"{name} has {values.size} raw values for the shape {shape}")
    yield name, values.reshape(shape)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message: an integer, or the bytes of anything else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == BYTES:
            length, at = _varint(data, at)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if at + length > len(data):
            raise ValueError(f"a field of {length} bytes at byte {at} of {len(data)}")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """An integer in base 128, least digit first; the high bit says that another digit follows."""
    value = shift = 0
    while True:
        digit = data[at]
        value |= (digit & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if digit < 0x80:
            return value, at


def _integers(value: int | memoryview) -> Iterator[int]:
    """A repeated integer comes one a field, or packed: all in the bytes of one field."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number


def _block(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("an integer where bytes were expected")
    return value
