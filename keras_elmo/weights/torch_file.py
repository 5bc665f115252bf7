"""Reads tensors from files of ``torch.save`` without PyTorch, and without running a pickle.

A pickle is a program. This one's instructions are followed for the few that tensors and
NumPy arrays are made of; any other instruction, and any other name than those below, is
refused. Files before PyTorch 1.6 are pickles followed by the numbers; later ones are zip
archives. NumPy's numbers are in the pickle itself, as text.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.types import PathLike
from keras_elmo.weights.zip_archive import open_zip

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
# All pickles of a file together. Those of tensors have some kilobytes; a NumPy array of
# 1024 x 1024 has up to 16 MiB in a few instructions.
_LARGEST_PICKLES = 1 << 25
_MOST_INSTRUCTIONS = 1 << 20

_DICT = "collections OrderedDict"
_TENSORS = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
_PARAMETER = "torch._utils _rebuild_parameter"
_STORAGES = {
    f"{module} {name}": dtype
    for module in ("torch", "torch.cuda")
    for name, dtype in (
        ("FloatStorage", np.dtype("<f4")),
        ("DoubleStorage", np.dtype("<f8")),
        ("HalfStorage", np.dtype("<f2")),
    )
}
_NEW_ARRAYS = tuple(f"numpy.{c}.multiarray _reconstruct" for c in ("core", "_core"))
_ARRAY, _DTYPE, _BYTES = "numpy ndarray", "numpy dtype", "_codecs encode"
_DTYPES = {dtype.str[1:]: dtype for dtype in _STORAGES.values()}
_NAMES = (
    *(_DICT, *_TENSORS, _PARAMETER, *_STORAGES),
    *(*_NEW_ARRAYS, _ARRAY, _DTYPE, _BYTES),
)

Floats = NDArray[np.floating[Any]]


class _Name(NamedTuple):
    """What the pickle calls by a name."""

    name: str


class _Storage(NamedTuple):
    """A piece of numbers elsewhere in the file."""

    key: str
    dtype: np.dtype[Any]
    size: int


class _Tensor(NamedTuple):
    """A part of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]


class _RefusedError(Exception):
    """The file holds something else than tensors; ends a sentence."""


def read_tensor(path: PathLike) -> Floats:
    """Reads the one tensor of a file of ``torch.save``, without PyTorch.

    Such files are the alignment matrices that AllenNLP calls ``aligning_files``; they hold
    a NumPy array or a PyTorch tensor. The pickle in the file is not run.

    Args:
        path: The file.

    Returns:
        The array, in the file's dtype.

    Raises:
        SourceError: The file does not exist, holds something else, or is damaged.

    Example:
        >>> from keras_elmo.layers import Alignment
        >>> from keras_elmo.weights.torch_file import read_tensor
        >>> align = Alignment(read_tensor("fr_best_mapping.pth"))  # doctest: +SKIP
    """
    if not Path(path).is_file():
        raise SourceError(f"path: there is no file {str(path)!r}.")
    (tensor,) = _read(Path(path), str(path), lambda state: {"": state}).values()
    return tensor


def read_tensors(path: Path, name: str | None = None) -> dict[str, Floats]:
    """Reads a dictionary of tensors by name; ``name`` is for messages.

    Raises SourceError for what is refused, DamagedSourceError for a file that is cut.
    """
    return _read(path, str(path) if name is None else name, lambda state: state)


def _read(path: Path, file_name: str, named: Callable[[Any], Any]) -> dict[str, Floats]:
    """The tensors of a file; ``named`` makes a dictionary of what the pickle makes."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return _read_legacy(file, named)
        return _read_archive(path, named)
    except SourceError as error:
        raise type(error)(f"Cannot read {file_name!r}: {error}") from error
    except _RefusedError as error:
        raise SourceError(
            f"Refusing to read {file_name!r}: it {error}. Only tensors are read, as "
            "torch.save writes them. Use the file as it was released."
        ) from error
    except (EOFError, OSError, zipfile.BadZipFile, _DamagedError) as error:
        raise DamagedSourceError(
            f"Cannot read the tensors in {file_name!r} ({error!s:.300}). It is not a file "
            "of torch.save, or it is cut or damaged: download or copy it again."
        ) from error


class _DamagedError(Exception):
    """The file is not one of torch.save, or is cut."""


def _read_legacy(file: IO[bytes], named: Callable[[Any], Any]) -> dict[str, Floats]:
    file.seek(0, io.SEEK_END)
    n_bytes = file.tell()
    file.seek(0)
    pickles = io.BytesIO(file.read(_LARGEST_PICKLES))
    if _unpickled(pickles) != _MAGIC or _unpickled(pickles) != _VERSION:
        raise _DamagedError("it does not begin as such files do")
    system = _unpickled(pickles)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _RefusedError("was not written on a little-endian machine")
    tensors = _tensors(named(_unpickled(pickles)))
    keys = _unpickled(pickles)
    storages = _storages(tensors)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise _RefusedError("has no list of the storages' names")
    if len(keys) != len(storages) or set(keys) != storages.keys():
        raise _RefusedError("lists other storages than its tensors have")
    file.seek(pickles.tell())
    numbers = {}
    for key in keys:
        storage = storages[key]
        if int.from_bytes(file.read(8), "little") != storage.size:
            raise _DamagedError(f"storage {key:.50} has another size than its tensors")
        # What fromfile allocates, it checks too late.
        if storage.size * storage.dtype.itemsize > n_bytes - file.tell():
            raise _DamagedError(f"storage {key:.50} is cut")
        numbers[key] = np.fromfile(file, storage.dtype, storage.size)
    if file.tell() != n_bytes:
        raise _DamagedError(f"{n_bytes - file.tell():,} bytes follow the numbers")
    return {name: _part(tensor, numbers) for name, tensor in tensors.items()}


def _read_archive(path: Path, named: Callable[[Any], Any]) -> dict[str, Floats]:
    with open_zip(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        # Several of them may be of the same bytes, which would multiply.
        if sum(member.file_size for member in members.values()) > path.stat().st_size:
            raise _RefusedError("unpacks to more than it has")
        roots = [name[: -len("data.pkl")] for name in members if _is_pickle(name)]
        if len(roots) != 1:
            raise _DamagedError(f"it has {len(roots)} members data.pkl")
        [root] = roots
        order = members.get(f"{root}byteorder")
        if order is not None and archive.read(order)[:10] != b"little":
            raise _RefusedError("was not written on a little-endian machine")
        if members[f"{root}data.pkl"].file_size > _LARGEST_PICKLES:
            raise _RefusedError("has a pickle that is too large")
        pickle = io.BytesIO(archive.read(f"{root}data.pkl"))
        tensors = _tensors(named(_unpickled(pickle)))
        numbers = {}
        for key, storage in _storages(tensors).items():
            member = members.get(f"{root}data/{key}")
            n_bytes = storage.size * storage.dtype.itemsize
            if member is None or member.file_size != n_bytes:
                raise _DamagedError(f"storage {key:.50} is missing or cut")
            numbers[key] = np.frombuffer(archive.read(member), storage.dtype)
    return {name: _part(tensor, numbers) for name, tensor in tensors.items()}


def _is_pickle(name: str) -> bool:
    return name == "data.pkl" or name.endswith("/data.pkl")


def _tensors(state: object) -> dict[str, _Tensor | Floats]:
    """The dictionary that the pickle makes, checked."""
    if not isinstance(state, dict):
        raise _RefusedError("is not a dictionary")
    for name, value in state.items():
        if not isinstance(value, (_Tensor, np.ndarray)):
            raise _RefusedError(
                f"holds {name!r:.100}, which is not a tensor"
                if name
                else "is not a single tensor"
            )
    return state


def _storages(state: Mapping[str, _Tensor | Floats]) -> dict[str, _Storage]:
    """The storages by key. Tensors together have no more numbers than these."""
    tensors = {n: tensor for n, tensor in state.items() if isinstance(tensor, _Tensor)}
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if any(storages[t.storage.key] != t.storage for t in tensors.values()):
        raise _RefusedError("has two storages of one name")
    n_numbers = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if n_numbers > sum(storage.size for storage in storages.values()):
        raise _RefusedError("has tensors that share their numbers")
    return storages


def _part(tensor: _Tensor | Floats, numbers: Mapping[str, Floats]) -> Floats:
    if not isinstance(tensor, _Tensor):
        return tensor
    storage = numbers[tensor.storage.key]
    n = math.prod(tensor.shape)
    return storage[tensor.offset : tensor.offset + n].reshape(tensor.shape)


def _unpickled(data: io.BytesIO) -> Any:
    """What the next pickle makes: numbers, text, lists, dictionaries and tensors."""
    try:
        return _Machine().run(_instructions(data))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise _RefusedError(f"has a pickle that makes no sense ({error!s:.100})") from error


def _instructions(data: io.BytesIO) -> Iterator[tuple[str, Any]]:
    try:
        for n, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if n == _MOST_INSTRUCTIONS:
                raise _RefusedError("has a pickle that is too large")
            yield opcode.name, argument
    except (ValueError, OverflowError) as error:
        raise _DamagedError(f"{error!s:.200}") from error


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE")
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """Follows instructions of a pickle of protocol 2."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below each mark
        self.memo: dict[int, Any] = {}

    def run(self, instructions: Iterator[tuple[str, Any]]) -> Any:
        for name, argument in instructions:
            if name == "STOP":
                return self.stack.pop()
            self.follow(name, argument)
        raise _DamagedError("a pickle does not end")

    def follow(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "MARK":
            self.outer.append(stack)
            self.stack = []
        elif name == "TUPLE":
            self._end_mark().append(tuple(stack))
        elif name in _TUPLES:
            values = [stack.pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(values[::-1]))
        elif name in ("SETITEM", "SETITEMS"):
            pairs = [stack.pop() for _ in range(2)][::-1] if name == "SETITEM" else stack
            if name == "SETITEMS":
                self._end_mark()
            _put(self.stack[-1], pairs)
        elif name in ("APPEND", "APPENDS"):
            values = [stack.pop()] if name == "APPEND" else stack
            if name == "APPENDS":
                self._end_mark()
            _checked(self.stack[-1], list).extend(values)
        elif name == "GLOBAL":
            if argument not in _NAMES:
                raise _RefusedError(f"calls {argument!r:.100}")
            stack.append(_Name(argument))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_called(_checked(function, _Name).name, arguments))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "BUILD":
            state = stack.pop()
            stack[-1] = _with_state(stack[-1], state)
        elif name != "PROTO" or argument != 2:
            raise _RefusedError(f"has the pickle instruction {name}")

    def _end_mark(self) -> list[Any]:
        """Goes back to the stack below the last mark."""
        self.stack = self.outer.pop()
        return self.stack


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _put(target: Any, pairs: list[Any]) -> None:
    _checked(target, dict)
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        target[_checked(key, str)] = value


def _called(name: str, arguments: Any) -> Any:
    _checked(arguments, tuple)
    if name == _DICT and arguments == ():
        return {}
    if name in _TENSORS:
        storage, offset, shape, strides, *rest = arguments
        if len(rest) != (0 if name == _TENSORS[0] else 2):
            raise TypeError(f"{len(arguments)} arguments")
        return _tensor(storage, offset, shape, strides)
    if name == _PARAMETER:
        tensor, _, _ = arguments
        return _checked(tensor, _Tensor)
    if name in _NEW_ARRAYS:
        return _checked(arguments[0], _Name)  # which _with_state makes an array
    if name == _DTYPE:
        return _DTYPES[arguments[0]]
    if name == _BYTES and arguments[1:] == ("latin1",):
        return _checked(arguments[0], str).encode("latin1")
    raise TypeError(f"a call of {name}")


def _with_state(value: Any, state: Any) -> Any:
    """What BUILD makes of a value: of an array all, of others nothing new."""
    if isinstance(value, dict):  # OrderedDict's attribute _metadata
        _checked(state, dict)
    elif isinstance(value, np.dtype):
        if _checked(state, tuple)[1] != "<":
            raise _RefusedError("was not written on a little-endian machine")
    elif value == _Name(_ARRAY):
        _, shape, dtype, is_fortran, numbers = _checked(state, tuple)
        array = np.frombuffer(_checked(numbers, bytes), _checked(dtype, np.dtype))
        sizes = tuple(map(_count, _checked(shape, tuple)))
        return array.reshape(sizes, order="F" if is_fortran else "C")
    else:
        raise TypeError(f"a state of {type(value).__name__}")
    return value


def _storage(values: Any) -> _Storage:
    kind, storage_type, key, location, size, *views = _checked(values, tuple)
    dtype = _STORAGES[_checked(storage_type, _Name).name]
    if kind != "storage" or views not in ([], [None]):
        raise TypeError("a storage that is a view of another")
    _checked(location, str)
    return _Storage(_checked(key, str), dtype, _count(size))


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> _Tensor:
    _checked(storage, _Storage)
    sizes = tuple(map(_count, _checked(shape, tuple)))
    step = 1
    for size, stride in zip(sizes[::-1], _checked(strides, tuple)[::-1], strict=True):
        if size > 1 and stride != step:
            raise _RefusedError("has a tensor whose numbers are not in order")
        step *= size
    if _count(offset) + math.prod(sizes) > storage.size:
        raise _RefusedError("has a tensor beyond its storage")
    return _Tensor(storage, offset, sizes)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise TypeError("a number that is not a size")
    return value
