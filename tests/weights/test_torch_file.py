"""Files of torch.save: read as they are written, refused if they do anything else."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.weights.torch_file import read_tensor, read_tensors
from tests.manylangs_models import (
    Call,
    Name,
    Persistent,
    instructions,
    pickled,
    saved_tensors,
    tensor,
    torch_file,
)

NUMBERS = np.arange(6, dtype=np.float32)
ARRAYS = {"a": NUMBERS.reshape(2, 3), "b.c": np.float32([[7]])}
STORAGES = {"0": NUMBERS}
GOOD = saved_tensors(ARRAYS)


def of(state: Any) -> bytes:
    return torch_file(state, STORAGES)


def raw(state: bytes, storages: Any = STORAGES) -> bytes:
    """A file whose state is made by these instructions."""
    content = torch_file("STATE", storages)
    return content.replace(pickled("STATE"), b"\x80\x02" + state)


def archive(**changed: bytes) -> bytes:
    files = {"data.pkl": pickled({"a": tensor("0", (2, 3))}), "data/0": NUMBERS.tobytes()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in {**files, "byteorder": b"little", **changed}.items():
            file.writestr(f"x/{name}", content)
    return packed.getvalue()


def test_reads_both_kinds(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(GOOD)
    found = read_tensors(path)
    assert list(found) == ["a", "b.c"]
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
    path.write_bytes(archive())
    np.testing.assert_array_equal(read_tensors(path)["a"], ARRAYS["a"])
    # More than is read at once.
    many = np.arange(300_000, dtype=np.float32)
    large = {
        "data.pkl": pickled({"a": tensor("0", (3, 100_000))}),
        "data/0": many.tobytes(),
    }
    path.write_bytes(archive(**large))
    np.testing.assert_array_equal(read_tensors(path)["a"].ravel(), many)
    # Parameters, older tensors, other types, a part of a storage.
    part = tensor("0", (2, 2), offset=1, size=6)
    old = Call(Name("torch._utils", "_rebuild_tensor"), part.arguments[:4])
    hooks = Call(Name("collections", "OrderedDict"), ())
    parameter = Call(Name("torch._utils", "_rebuild_parameter"), (old, True, hooks))
    path.write_bytes(of({"a": parameter}))
    np.testing.assert_array_equal(read_tensors(path)["a"], [[1, 2], [3, 4]])
    for kind, dtype in (("cuda.DoubleStorage", "<f8"), ("HalfStorage", "<f2")):
        module, _, name = f"torch.{kind}".rpartition(".")
        state = {"a": tensor("0", (6,), type=Name(module, name))}
        path.write_bytes(torch_file(state, {"0": NUMBERS.astype(dtype)}))
        np.testing.assert_array_equal(read_tensors(path)["a"], NUMBERS.astype(dtype))


@pytest.mark.parametrize("code", ["<f2", "<f4", "<f8"])
def test_reads_one_tensor_or_array(tmp_path: Path, code: str) -> None:
    """As AllenNLP's aligning_files, which are NumPy arrays."""
    matrix = np.random.default_rng(0).normal(size=(7, 7)).astype(code)
    path = tmp_path / "fr_best_mapping.pth"
    contents = [torch_file(tensor("0", (2, 3)), {"0": NUMBERS})]
    for array in (matrix, matrix.T):
        packed = pickle.dumps(array, protocol=2)
        contents += [raw(packed[2:], {}), archive(**{"data.pkl": packed})]
    expected = [ARRAYS["a"], matrix, matrix, matrix.T, matrix.T]
    for content, array in zip(contents, expected, strict=True):
        path.write_bytes(content)
        np.testing.assert_array_equal(read_tensor(path), array)
    path.write_bytes(GOOD)
    with pytest.raises(SourceError, match=r"fr_best.*: it is not a single tensor"):
        read_tensor(path)
    with pytest.raises(SourceError, match="path: there is no file"):
        read_tensor(tmp_path / "no.pth")


@pytest.mark.parametrize("is_zip", [False, True])
def test_reads_what_torch_writes(tmp_path: Path, is_zip: bool) -> None:
    torch = pytest.importorskip("torch")
    matrix = torch.rand(9, 9, generator=torch.Generator().manual_seed(0))
    for value in (matrix, matrix.numpy(), torch.nn.Parameter(matrix)):
        path = tmp_path / "x.pth"
        torch.save(value, path, _use_new_zipfile_serialization=is_zip)
        np.testing.assert_array_equal(read_tensor(str(path)), matrix)


def array_file(old: bytes, new: bytes) -> bytes:
    """A NumPy array of which something is changed."""
    packed = pickle.dumps({"a": np.float32([1, 2, 3])}, protocol=2)
    assert packed.count(old) == 1
    return raw(packed[2:].replace(old, new), {})


HOSTILE = {
    "a name": (of(Call(Name("os", "system"), ("true",))), "calls 'os system'"),
    "a name only": (of({"a": Name("builtins", "eval")}), "calls 'builtins eval'"),
    "a longer name": (of(Name("torch._utils", "_rebuild_xla_tensor")), "calls 'torch._ut"),
    "a storage as a call": (of(Call(Name("torch", "FloatStorage"), ())), "no sense"),
    "STACK_GLOBAL": (
        raw(b"X\x02\0\0\0osX\x06\0\0\0system\x93."),
        "instruction STACK_GLOBAL",
    ),
    "INST": (raw(b"(ios\nsystem\n."), "instruction INST"),
    "OBJ": (raw(b"(o."), "instruction OBJ"),
    "NEWOBJ": (raw(b"))\x81."), "instruction NEWOBJ"),
    "EXT1": (raw(b"\x82\x01."), "instruction EXT1"),
    "LONG": (raw(b"L1L\n."), "instruction LONG"),
    "DUP": (raw(b")2."), "instruction DUP"),
    "protocol 4": (raw(b"\x80\x04N."), "instruction PROTO"),
    "a memo of 4 GiB": (raw(b"Nr\xff\xff\xff\xff."), "is not a dictionary"),
    "text of 4 GiB": (raw(b"X\xff\xff\xff\xffx."), "expected 4294967295 bytes"),
    "a long of 2 GiB": (
        raw(b"\x8b\xff\xff\xff\x7fx."),
        "not enough data|expected 2147483647",
    ),
    "a memo that is empty": (raw(b"h\x05."), "no sense"),
    "an empty stack": (raw(b"R."), "no sense"),
    "no mark": (raw(b"t."), "no sense"),
    "an odd item": (raw(b"}(Nu."), "no sense"),
    "a key that is a list": (raw(b"}]Ns."), "no sense"),
    "nested": (raw(b"(" * 200_000 + b"t" * 200_000 + b"."), "is not a dictionary"),
    "nested keys": (raw(b"}" + b")\x85" * 200_000 + b"Ns."), "no sense"),
    "no end": (raw(b"N"), "is not a dictionary"),
    "a list": (of([]), "is not a dictionary"),
    "a number": (of({"a": 1}), "holds 'a', which is not a tensor"),
    "beyond": (of({"a": tensor("0", (7,), size=6)}), "beyond its storage"),
    "an offset": (of({"a": tensor("0", (6,), offset=1, size=6)}), "beyond its storage"),
    "below": (of({"a": tensor("0", (6,), offset=-1, size=6)}), "not a size"),
    "huge": (of({"a": tensor("0", (2**40,))}), "another size"),
    "strides": (of({"a": tensor("0", (2, 3), strides=(1, 2), size=6)}), "not in order"),
    "strides of 0": (of({"a": tensor("0", (9,), strides=(0,), size=6)}), "not in order"),
    "shared": (of({n: tensor("0", (6,)) for n in "ab"}), "share their numbers"),
    "two sizes": (
        of({"a": tensor("0", (6,)), "b": tensor("0", (1,), size=1)}),
        "two storages of one name",
    ),
    "another storage": (of({"a": tensor("1", (6,))}), "lists other storages"),
    "a view": (
        of({"a": Call(Name("torch._utils", "_rebuild_tensor_v2"), (Persistent((1, 2)),))}),
        "no sense",
    ),
    "integers": (of({"a": tensor("0", (6,), type=Name("torch", "LongStorage"))}), "calls"),
    "an array's call": (array_file(b"cnumpy\nndarray", b"cnumpy\nload"), "calls 'numpy lo"),
    "integers in an array": (array_file(b"f4", b"i4"), "no sense"),
    "objects in an array": (array_file(b"f4", b"O8"), "no sense"),
    "a big-endian array": (array_file(b"<", b">"), "little-endian"),
    "an array too long": (array_file(b"K\x03\x85", b"K\x04\x85"), "no sense"),
    "another encoding": (array_file(b"latin1", b"idna\0\0"), "no sense"),
    "a state of a number": (raw(b"NNb."), "no sense"),
    "an array without a state": (raw(b"cnumpy\nndarray\n."), "is not a dictionary"),
    "too many instructions": (raw(b"N" * (1 << 20) + b"."), "pickle that is too large"),
    "big-endian": (torch_file({}, {}, {"little_endian": False}), "little-endian"),
    "cut": (GOOD[:-1], "is cut"),
    "more": (GOOD + b"x", "follow the numbers"),
    "empty": (b"", "not a file of torch.save"),
    "text": (b"{}", "not a file of torch.save"),
    "a plain pickle": (pickled({"a": 1}), "does not begin"),
    "a pickle that calls": (
        b"\x80\x02" + instructions(Call(Name("os", "system"), ("true",))) + b".",
        "calls 'os system'",
    ),
    "an archive without data": (archive(**{"data/0": b""}), "missing or cut"),
    "an archive that calls": (
        archive(**{"data.pkl": pickled(Call(Name("os", "system"), ("true",)))}),
        "calls 'os system'",
    ),
    "a big-endian archive": (archive(byteorder=b"big"), "little-endian"),
    "two pickles": (archive(**{"y/data.pkl": b""}), "2 members data.pkl"),
    "a cut archive": (archive()[:-9], "cut or damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "encoder.pkl"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        read_tensors(path)
    assert "encoder.pkl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_archives_that_multiply(tmp_path: Path) -> None:
    """Many members of the same bytes, and one that is compressed."""
    path = tmp_path / "x.pkl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/data.pkl", pickled({"a": tensor("0", (1 << 20,))}))
        file.writestr("x/data/0", bytes(4 << 20))
    with pytest.raises(SourceError, match="unpacks to more than it has"):
        read_tensors(path)


def test_every_cut_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    for end in range(0, len(GOOD), 7):
        path.write_bytes(GOOD[:end])
        with pytest.raises(DamagedSourceError, match="cut"):
            read_tensors(path)
