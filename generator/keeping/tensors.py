"""A value of records as a safetensors file: its arrays one after the other, read as memory maps, and all else in the header.

The header holds checksums of itself and of the arrays, so that a file is known to be what was written without being trusted.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np

from generator.keeping.packing import UnpackError, pack, unpack

FORMAT = "weight-atlas 2"
ABOUT = "__metadata__"  # where safetensors has text beside the arrays
BLOCK = 1 << 20  # bytes read at a time where a whole file is gone through
ALIGNMENT = 64  # bytes: arrays in a file begin at multiples of it, as in memory
SMALL = 1 << 16  # bytes: a file of so few is read, and takes none of the maps that a process may have
OPEN_FILES = 1 << 20  # a memory map holds its file open: as many as a process may ever want
DAMAGE = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError, struct.error)

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1", "U16": "<u2",
    "U32": "<u4", "U64": "<u8", "BOOL": "|b1",
}  # fmt: skip
_NAMES = {np.dtype(code).str: name for name, code in _TYPES.items()}


def write_value(path: Path, key: str, value: Any) -> None:
    """Write a value, with the key it is kept under, to a new file. Raises TypeError for what no such file can hold."""
    plain, arrays = pack(value)
    entries, held, check = _laid_out(arrays)
    said = {"format": FORMAT, "key": key, "value": json.dumps(plain, separators=(",", ":")), "arrays": f"{check:08x}"}
    said["digests"] = " ".join(_digest(each) for each in arrays)
    said["header"] = _header_check(entries, said)
    header = json.dumps({**entries, ABOUT: said}, separators=(",", ":")).encode()
    header += b" " * (-(len(header) + 8) % ALIGNMENT)
    with open(path, "xb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for each in held:
            file.write(_bytes_of(each))


def _laid_out(arrays: list[np.ndarray]) -> tuple[dict[str, Any], list[np.ndarray], int]:
    """What the header says of the arrays, the arrays in the order of the file, the checksum of their bytes."""
    order = sorted(range(len(arrays)), key=lambda name: -arrays[name].itemsize)  # each begins at a multiple of its item's size
    entries: dict[str, Any] = {}
    place = check = 0
    for name in order:
        each = arrays[name]
        entries[str(name)] = {
            "dtype": _kind_of(each),
            "shape": list(each.shape),
            "data_offsets": [place, place + each.nbytes],
        }
        place, check = place + each.nbytes, zlib.crc32(_bytes_of(each), check)
    return entries, [arrays[name] for name in order], check


def _kind_of(array: np.ndarray) -> str:
    try:
        return _NAMES[array.dtype.newbyteorder("<").str]
    except KeyError:
        raise TypeError(f"a record cannot hold an array of {array.dtype}") from None


def _bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array in C order, little-endian; the large ones are so already, and not copied."""
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return plain.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")


def read_value(path: Path) -> Any:
    """The value of a file, its arrays read-only and mapped; they stay as they are when the file is replaced or removed.

    The arrays are not gone through: `fault` does that. Raises one of DAMAGE for what is not such a file.
    """
    held = _held(path)
    header, start = _header(held)
    entries = {int(name): entry for name, entry in header.items() if name != ABOUT}
    return unpack(json.loads(header[ABOUT]["value"]), [_array(held, entries[name], start) for name in range(len(entries))])


def read_told(first: Callable[[int], bytes]) -> Any:
    """The value of a file with a text in place of each array: its type, its shape as `12x3`, a digest of its bytes.

    `first` reads so many of its first bytes, or as many as there are; the arrays lie behind. Raises one of DAMAGE for what is
    not such a file.
    """
    head = first(SMALL)
    end = 8 + int(struct.unpack("<Q", head[:8])[0])
    header = json.loads((head if end <= len(head) else first(end))[8:end])
    said = header.pop(ABOUT)
    entries = [header[str(name)] for name in range(len(header))]
    found = [_told(*each) for each in zip(entries, said["digests"].split(), strict=True)]
    return unpack(json.loads(said["value"]), found)


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(count)


def _told(entry: dict[str, Any], digest: str) -> Any:
    return f"{entry['dtype']} {'x'.join(map(str, entry['shape']))} {digest}"


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(_bytes_of(array)).hexdigest()[:32]


def _held(path: Path) -> bytes | mmap.mmap:
    """The bytes of a file: read if they are few, else mapped, once for all arrays."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size <= SMALL:
            return file.read()
        _allow_many_files()
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _maps.add(held)
    return held


_maps: WeakSet[mmap.mmap] = WeakSet()  # of files whose arrays are in use


def let_go() -> None:
    """Give back the memory that mapped files take up in this process; what is looked at again is read again."""
    if hasattr(mmap, "MADV_DONTNEED"):
        for held in list(_maps):
            held.madvise(mmap.MADV_DONTNEED)


@lru_cache(maxsize=1)
def _allow_many_files() -> None:
    """Ask the system for as many open files as it grants: the usual 1,024 are fewer than the results of a large model."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(most, OPEN_FILES)
    for count in (wanted, wanted // 16, wanted // 100):  # some systems grant fewer than they say
        if now != resource.RLIM_INFINITY and now < count:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (count, most))
                return


def _header(held: bytes | mmap.mmap) -> tuple[dict[str, Any], int]:
    """What a file says of itself, and where its arrays begin."""
    (size,) = struct.unpack("<Q", held[:8])
    return json.loads(held[8 : 8 + size]), 8 + size


def _array(held: bytes | mmap.mmap, entry: dict[str, Any], start: int) -> np.ndarray:
    kind, shape = np.dtype(_TYPES[entry["dtype"]]), tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if begin == end:
        return np.zeros(shape, kind)
    return np.frombuffer(held, kind, (end - begin) // kind.itemsize, start + begin).reshape(shape)


def fault(path: Path, key: str) -> str:
    """What is wrong with the file of a key; '' if nothing. All of it is read, a block at a time."""
    try:
        header, start = _header_of(path)
        said = header.pop(ABOUT)
        if said["format"] != FORMAT:
            return "was not written by this version"
        if said["key"] != key:
            return "is not what its name says"
        if said["header"] != _header_check(header, said) or said["arrays"] != f"{_arrays_check(path, start):08x}":
            return "is damaged"
        unpack(json.loads(said["value"]), [np.zeros(0)] * len(header))
    except UnpackError:
        return "was not written by this version"
    except DAMAGE:
        return "is damaged"
    return ""


def _header_of(path: Path) -> tuple[dict[str, Any], int]:
    """As `_header`, without a map of what may be no such file at all."""
    with open(path, "rb") as file:
        start = file.read(8)
        if len(start) < 8 or (size := struct.unpack("<Q", start)[0]) > os.fstat(file.fileno()).st_size:
            raise ValueError("cut short")
        return json.loads(file.read(size)), 8 + size


def _header_check(entries: dict[str, Any], said: dict[str, str]) -> str:
    """A checksum of all that the header says, but for itself."""
    rest = {name: text for name, text in said.items() if name != "header"}
    return f"{zlib.crc32(json.dumps([entries, rest], sort_keys=True).encode()):08x}"


def _arrays_check(path: Path, start: int) -> int:
    check = 0
    with open(path, "rb") as file:
        file.seek(start)
        while block := file.read(BLOCK):
            check = zlib.crc32(block, check)
    return check
