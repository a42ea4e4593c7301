"""What is kept between builds: whole and as it was written, or not at all; never trusted, never a pickle."""

from __future__ import annotations

import ast
import errno
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from real_models import ROOT
from safetensors.numpy import load_file, save_file

from generator.errors import AtlasError
from generator.keeping import code, files, tensors
from generator.keeping.files import Digests
from generator.keeping.history import History, Part, Pictured, Written, read_history, standing, write_history
from generator.keeping.packing import UnpackError, pack, unpack
from generator.keeping.store import Store, StoreError, key_of
from generator.records import LayerKeys, Looks

KEY, OTHER = key_of(what="this"), key_of(what="other")
ARRAYS = {
    "zero rows": np.zeros((0, 3), np.float32),
    "one number": np.array(2.5),
    "yes and no": np.array([[True, False, True]]),
    "large counts": np.array([-(2**62), 2**62]),
    "big-endian": np.arange(6, dtype=">f4").reshape(2, 3),
    "big-endian counts": np.arange(6, dtype=">i8"),
    "halves": np.array([0.5, np.inf, -0.0], np.float16),
    "not a number": np.array([np.nan, 1], np.float32),
    "columns first": np.asfortranarray(np.arange(12, dtype=np.int32).reshape(3, 4)),
    "every second": np.arange(10, dtype=np.uint8)[::2],
    "three bytes": np.arange(3, dtype=np.uint8),
    "short": np.array([[-1]], np.int16),
    "unsigned": np.array([2**63], np.uint64),
}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def kept(store: Store, key: str = KEY, size: int = 4) -> Path:
    """A result in the store; the path of its file."""
    store.put(key, (np.arange(size, dtype=np.float32), "words", np.arange(3)))
    return store.path(key)


def again(store: Store) -> Store:
    """As another process sees the folder."""
    return Store(store.folder, store.address)


# -- values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_as_it_was(store, name):
    store.put(KEY, ARRAYS[name])
    found = again(store).get(KEY)
    np.testing.assert_array_equal(found, ARRAYS[name])
    assert (found.shape, found.dtype.newbyteorder("=")) == (ARRAYS[name].shape, ARRAYS[name].dtype.newbyteorder("="))
    assert found.size == 0 or not found.flags.writeable


def test_arrays_of_all_kinds_lie_in_one_file(store):
    store.put(KEY, tuple(ARRAYS.values()))
    for found, given in zip(again(store).get(KEY), ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(found, given)


def test_a_file_is_a_safetensors_file(store):
    store.put(KEY, tuple(ARRAYS.values()))
    found = load_file(store.path(KEY))
    assert sorted(map(int, found)) == list(range(len(ARRAYS)))
    for number, given in enumerate(ARRAYS.values()):
        np.testing.assert_array_equal(found[str(number)], given)


def test_records_text_and_numbers_come_back_as_they_were(store):
    value = (
        LayerKeys("a/ü", "w", "", (("faces", "k"), ())),
        None,
        (),
        1.0,
        1,
        -0.0,
        float("inf"),
        True,
        'line\nwith "quotes" and \udc80 from a file\'s name',
        Looks(np.zeros((2, 1, 1, 3), np.uint8), np.ones(2, np.float32), np.zeros(2, np.float32), 5),
    )
    store.put(KEY, value)
    found = again(store).get(KEY)
    assert found[:-1] == value[:-1]
    assert [type(each) for each in found] == [type(each) for each in value]
    assert str(found[5]) == "-0.0"
    np.testing.assert_array_equal(found[-1].images, value[-1].images)


@pytest.mark.parametrize(
    "value",
    [
        [1],
        {"a": 1},
        {1},
        np.float64(1),
        object(),
        Written("a", 1, "", True),
        np.array(["text"]),
        np.array([1j]),
        np.array([None]),
    ],
    ids=lambda value: type(value).__name__ + str(getattr(value, "dtype", "")),
)
def test_what_no_record_holds_is_refused(store, value):
    with pytest.raises(TypeError, match="a record cannot hold"):
        store.put(KEY, value)
    assert not store.has(KEY)
    assert list(store.folder.glob("??/*")) == []


def test_a_record_with_other_fields_is_of_another_version():
    plain, arrays = pack(LayerKeys("a", "b", "c", ()))
    plain["more"] = 1
    with pytest.raises(UnpackError):
        unpack(plain, arrays)


def test_the_same_value_is_the_same_bytes(tmp_path):
    one, two = kept(Store(tmp_path / "one")), kept(Store(tmp_path / "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_mapped_result_stays_as_it_is_when_its_file_is_replaced_or_removed(store):
    size = tensors.SMALL
    store.put(KEY, np.zeros(size, np.float32))
    found = again(store).get(KEY)
    store.put(KEY, np.ones(size, np.float32))
    assert not found.any()
    store.clear()
    assert not found.any()


def test_the_results_of_a_large_model_fit_into_the_files_a_process_may_have_open(tmp_path):
    """Each map holds its file open; a thousand and more are usual, and so is a limit of 1,024."""
    count = 1100
    program = f"""
import resource
from pathlib import Path
import numpy as np
from generator.keeping.store import Store, key_of
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
store = Store(Path({str(tmp_path / "cache")!r}))
store.put(key_of(n=0), tuple(np.full({tensors.SMALL // 8}, n, np.float32) for n in range(4)))
held = [store.get(key_of(n=0), trusted=True) for n in range({count})]
print(sum(int(each[3][0]) for each in held))
"""
    import resource

    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * count:
        pytest.skip("the system grants too few open files")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(3 * count), "")


# -- damage ---------------------------------------------------------------------------------------------------------------


def flip(path: Path, place: int) -> None:
    held = bytearray(path.read_bytes())
    held[place] ^= 1
    path.write_bytes(held)


def header_size(path: Path) -> int:
    return 8 + struct.unpack("<Q", path.read_bytes()[:8])[0]


def truncated(store):
    path = kept(store)
    path.write_bytes(path.read_bytes()[:-1])


def cut_in_the_header(store):
    path = kept(store)
    path.write_bytes(path.read_bytes()[:50])


def emptied(store):
    kept(store).write_bytes(b"")


def lengthened(store):
    path = kept(store)
    path.write_bytes(path.read_bytes() + b"\0")


def flipped_in_an_array(store):
    path = kept(store)
    flip(path, header_size(path) + 5)


def foreign(store):
    path = kept(store)
    save_file({"0": np.arange(4, dtype=np.float32)}, path)


def foreign_with_words(store):
    path = kept(store)
    save_file({"0": np.arange(4, dtype=np.float32)}, path, {"format": "weight-atlas 2", "value": "[]"})


def of_another_key(store):
    shutil.copy(kept(store, OTHER), kept(store))


def of_another_version(store):
    path = kept(store)
    path.write_bytes(path.read_bytes().replace(b'"weight-atlas 2"', b'"weight-atlas 0"'))


def of_other_records(store):
    store.put(KEY, LayerKeys("a", "b", "c", ()))
    path, held = store.path(KEY), store.path(KEY).read_bytes()
    header = json.loads(held[8:])
    said = header.pop("__metadata__")
    said["value"] = said["value"].replace('"address"', '"place"')
    said["header"] = tensors._header_check(header, said)
    text = json.dumps({**header, "__metadata__": said}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def a_pickle(store):
    kept(store).write_bytes(pickle.dumps(Trap()))


def a_folder(store):
    path = kept(store)
    path.unlink()
    path.mkdir()


class Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was read",)


DAMAGED = [
    truncated,
    cut_in_the_header,
    emptied,
    lengthened,
    flipped_in_an_array,
    foreign,
    foreign_with_words,
    of_another_key,
    of_another_version,
    of_other_records,
    a_pickle,
]


@pytest.mark.parametrize("harm", DAMAGED)
def test_what_is_damaged_foreign_or_old_is_not_there_and_a_line_says_so(store, harm):
    harm(store)
    seen = again(store)
    assert not seen.has(KEY)
    assert len(seen.notes) == 1
    assert str(seen.path(KEY)) in seen.notes[0] and "worked out anew" in seen.notes[0] and "\n" not in seen.notes[0]
    with pytest.raises(StoreError, match=KEY):
        seen.get(KEY)
    kept(seen)
    assert again(store).get(KEY)[1] == "words"


def test_any_byte_of_a_file_that_is_not_what_it_was_is_noticed(store):
    """But for the blanks at the end of the header, which say nothing."""
    path = kept(store)
    whole = path.read_bytes()
    blanks = whole[: header_size(path)].rstrip(b" ")
    for place in range(len(whole)):
        for bit in (0, 3, 6):
            held = bytearray(whole)
            held[place] ^= 1 << bit
            path.write_bytes(held)
            assert tensors.fault(path, KEY) or len(blanks) <= place < header_size(path), (place, bit, bytes(held))


def test_a_result_that_goes_while_it_is_needed_is_told_in_a_line(store):
    kept(store).unlink()
    with pytest.raises(StoreError, match="Build again") as told:
        store.get(KEY, trusted=True)
    assert isinstance(told.value, AtlasError) and len(told.value.lines) == 1


# -- the folder -----------------------------------------------------------------------------------------------------------


def test_the_folder_says_what_it_is(store):
    kept(store)
    assert "atlas clean" in (store.folder / "README").read_text()
    assert (store.folder / ".gitignore").read_text() == "*\n"
    assert (store.folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")


def test_clearing_removes_what_the_program_made_and_nothing_else(store):
    kept(store), kept(store, OTHER)
    Digests(store.folder / "files.json").save()
    (store.folder / "files.json").write_text("{}")
    write_history(store.folder / "sites" / f"{'0' * 32}.json", History("", {}, ()))
    (store.path(KEY).parent / f"{KEY}.1-2.part").write_text("left by a build that was killed")
    mine = [store.folder / "thesis.tex", store.path(KEY).parent / "notes.safetensors", store.folder / "sites" / "mine.json"]
    mine += [store.folder / "ab" / "other.part", store.folder / "models" / f"{KEY}.safetensors"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    count, size = store.clear()
    assert count == 5 and size > 900
    assert sorted(path for path in store.folder.rglob("*") if path.is_file()) == sorted(mine)


def test_clearing_leaves_no_empty_folder(store):
    kept(store)
    store.clear()
    assert not store.folder.exists()
    assert store.clear() == (0, 0)


def test_a_folder_of_others_is_not_taken(tmp_path):
    (tmp_path / "main.py").write_text("...")
    with pytest.raises(StoreError, match=r"cache\.folder: .* holds 'main.py'"):
        Store(tmp_path).put(KEY, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["main.py"]


def test_a_word_of_the_users_in_the_place_of_ours_stays(store):
    store.folder.mkdir()
    (store.folder / "README").write_text("mine")
    kept(store)
    store.clear()
    assert [path.name for path in store.folder.iterdir()] == ["README"]
    assert (store.folder / "README").read_text() == "mine"


def test_what_was_not_used_for_longest_goes_first(store):
    keys = [key_of(n=n) for n in range(6)]
    for age, key in enumerate(keys):
        path = kept(store, key, 1000)
        os.utime(path, (1000 - age, 1000 - age))
    again(store).has(keys[5])  # it was the oldest
    each = store.path(keys[0]).stat().st_size
    assert store.trim(3 * each, used=[keys[4]], spared=0) == 3
    assert [again(store).has(key) for key in keys] == [True, False, False, False, True, True]


def test_what_another_build_may_be_using_is_not_thrown_away(store):
    kept(store)
    assert store.trim(0) == 0
    assert store.trim(0, used=[KEY], spared=0) == 0
    assert store.trim(0, spared=-1) == 1


def test_what_a_killed_build_left_goes_like_any_other(store):
    left = kept(store).parent / f"{KEY}.abc.part"
    left.write_bytes(b"0" * 10**6)
    os.utime(left, (1000, 1000))
    assert store.trim(10**5) == 1
    assert not left.exists() and store.has(KEY)


def refusing(monkeypatch, number):
    def write(path, *_):
        path.write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("generator.keeping.store.write_value", write)


def test_a_full_disk_is_told_in_a_line_and_leaves_nothing_behind(store, monkeypatch):
    refusing(monkeypatch, errno.ENOSPC)
    with pytest.raises(StoreError, match=r"No space left on device; make room there") as told:
        store.put(KEY, 1)
    assert len(told.value.lines) == 1
    assert list(store.folder.glob("??/*")) == []


def test_a_folder_that_cannot_be_made_is_told_in_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Not a directory; name another folder: cache.folder"):
        Store(tmp_path / "file" / "cache").put(KEY, 1)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="whoever may do anything may write anywhere")
def test_a_folder_that_may_only_be_read_is_read(store):
    kept(store)
    for path in (store.path(KEY), store.path(KEY).parent, store.folder):
        path.chmod(0o500)
    assert again(store).get(KEY)[1] == "words"
    with pytest.raises(StoreError, match="Permission denied"):
        store.put(OTHER, 1)
    assert store.trim(0, spared=-1) == 0


def test_reading_does_not_need_to_mark_a_result_as_used(store, monkeypatch):
    kept(store)
    monkeypatch.setattr(os, "utime", lambda *_: (_ for _ in ()).throw(PermissionError()))
    assert again(store).get(KEY)[1] == "words"


def test_a_result_is_written_though_another_process_empties_the_folder(store):
    """Nothing but a result, whole, is ever seen, whatever the others do."""
    stop, wrong = threading.Event(), []

    def empty():
        while not stop.is_set():
            Store(store.folder).clear()

    others = [threading.Thread(target=empty) for _ in range(2)]
    for each in others:
        each.start()
    try:
        for _ in range(50):
            try:
                again(store).put(KEY, np.arange(5))
                again(store).get(KEY)
            except StoreError as error:
                wrong.append(error)
    finally:
        stop.set()
        for each in others:
            each.join()
    assert all(isinstance(each, AtlasError) for each in wrong)
    kept(store)
    assert again(store).has(KEY)


def test_several_processes_may_write_and_read_the_same_result(tmp_path):
    program = f"""
from pathlib import Path
import numpy as np
from generator.keeping.store import Store, key_of
for turn in range(100):
    store = Store(Path({str(tmp_path / "cache")!r}))
    store.put(key_of(n=turn % 3), np.arange(30_000))
    assert store.has(key_of(n=turn % 3)) and Store(store.folder).get(key_of(n=turn % 3))[-1] == 29_999
    assert not store.notes
"""
    several = [subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    assert [each.communicate()[1].decode() for each in several] == [""] * 3
    assert list((tmp_path / "cache").rglob("*.part")) == []


# -- an address -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shared(tmp_path):
    """Two machines with folders of their own, and an address that both reach."""
    (tmp_path / "share").mkdir()
    address = (tmp_path / "share").as_uri()
    return Store(tmp_path / "one", address), Store(tmp_path / "two", address), tmp_path / "share"


def test_what_one_machine_keeps_another_finds_at_the_address(shared):
    one, two, _ = shared
    assert not two.has(KEY)
    kept(one)
    assert two.has(KEY) and two.get(KEY)[1] == "words"
    assert two.path(KEY).is_file()


def test_what_is_damaged_on_the_way_is_not_trusted(shared):
    one, two, share = shared
    name = kept(one).relative_to(one.folder)
    flip(share / name, -1)
    with pytest.raises(StoreError):
        two.get(KEY, trusted=True)
    assert len(two.notes) == 1
    kept(two)
    assert again(two).get(KEY)[1] == "words"
    assert (share / name).read_bytes() == one.path(KEY).read_bytes()


def test_what_is_here_alone_is_sent_to_the_address(shared):
    one, two, share = shared
    kept(Store(one.folder))
    assert not two.has(KEY)
    assert one.has(KEY)
    assert two.has(KEY)
    assert [path.name for path in share.rglob("*") if path.is_file()] == [one.path(KEY).name]


def test_what_is_dropped_or_cleared_goes_at_the_address_too(shared):
    one, two, share = shared
    kept(one), kept(one, OTHER)
    (share / "mine.txt").write_text("mine")
    (share / "models").mkdir()
    (share / "models" / "mine.safetensors").write_text("mine")
    one.drop(KEY)
    assert not two.has(KEY) and two.has(OTHER)
    one.drop(KEY)
    one.clear()
    assert not again(one).has(OTHER)
    assert sorted(path.name for path in share.rglob("*") if path.is_file()) == ["mine.safetensors", "mine.txt"]


@pytest.mark.parametrize("address", ["nothing://bucket/folder", "file:///dev/null/folder"])
def test_an_address_that_cannot_be_used_is_told_in_a_line(tmp_path, address):
    with pytest.raises(AtlasError, match=r"cache\.address: '.*' cannot be used: \w+") as told:
        kept(Store(tmp_path, address))
    assert len(told.value.lines) == 1


# -- digests of files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def digests(tmp_path):
    return lambda: Digests(tmp_path / "kept.json")


def aged(path: Path, text: str) -> Path:
    """A file that looks as if it had not been changed for long; the time of change of its inode is past at once."""
    path.write_text(text)
    os.utime(path, (1000, 1000))
    return path


@pytest.fixture
def reads(monkeypatch):
    """The files that were read, and a clock that is an hour ahead of theirs."""
    found: list[int] = []
    digest, now = files._digest, time.time_ns
    monkeypatch.setattr(files, "_digest", lambda number: found.append(number) or digest(number))
    monkeypatch.setattr(files.time, "time_ns", lambda: now() + 3600 * 10**9)
    return found


def test_a_file_that_looks_untouched_is_not_read_again(digests, reads, tmp_path):
    path = aged(tmp_path / "a", "one")
    first = digests()
    value = first.of(path)
    first.save()
    assert digests().of(path) == value
    assert len(reads) == 1


@pytest.mark.parametrize("change", ["bytes", "time put back", "another file of its look"])
def test_a_changed_file_is_read_again_however_alike_it_looks(digests, reads, tmp_path, change):
    path = aged(tmp_path / "a", "one")
    first = digests()
    value = first.of(path)
    first.save()
    time.sleep(0.02)  # a tick of the file system's clock
    if change == "another file of its look":
        os.replace(aged(tmp_path / "b", "two"), path)
    else:
        path.write_text("two")
    if change == "time put back":
        os.utime(path, (1000, 1000))
    assert digests().of(path) != value


def test_a_file_changed_just_now_is_not_remembered(tmp_path):
    """It may change again within the same tick of the clock."""
    path = tmp_path / "a"
    path.write_text("one")
    digests = Digests(tmp_path / "kept.json")
    digests.of(path)
    assert digests.known == {}
    digests.save()
    assert not (tmp_path / "kept.json").exists()


def test_the_digest_of_a_folder_tells_names_and_bytes(tmp_path):
    folder = tmp_path / "f"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("x")
    seen = {Digests().of_folder(folder)}
    (folder / "sub" / "a").rename(folder / "a")
    seen.add(Digests().of_folder(folder))
    (folder / "a").write_text("y")
    seen.add(Digests().of_folder(folder))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("")
    seen.add(Digests().of_folder(folder))
    assert len(seen) == 3
    assert Digests().of_place(tmp_path / "none") == Digests().of_folder(tmp_path / "none") == ""


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": 1}', '{"a": [1, 2]}', '{"a": {"b": 1}}'])
def test_digests_that_cannot_be_read_are_none(tmp_path, text):
    (tmp_path / "kept.json").write_text(text)
    assert Digests(tmp_path / "kept.json").known == {}


# -- histories ------------------------------------------------------------------------------------------------------------

FILES = (Written("a/0.html", 3, "d", True, 7),)
PAST = History(
    "inputs", {"a": Part("key", FILES, Pictured(9, 2, 4, 8)), "b": Part("key", FILES), "map": Part("", ())}, ("k", "l")
)


def test_a_history_comes_back_as_it_was(tmp_path):
    write_history(tmp_path / "sites" / "one.json", PAST)
    assert read_history(tmp_path / "sites" / "one.json") == PAST
    assert [path.name for path in (tmp_path / "sites").iterdir()] == ["one.json"]


def test_a_damaged_or_old_history_is_none(tmp_path):
    file = tmp_path / "one.json"
    write_history(file, PAST)
    whole = file.read_bytes()
    assert read_history(tmp_path / "none.json") is None
    for place in range(len(whole)):
        file.write_bytes(whole[:place])
        assert read_history(file) is None
        flipped = bytearray(whole)
        flipped[place] ^= 1
        file.write_bytes(flipped)
        assert read_history(file) is None, place


def test_a_history_that_cannot_be_written_is_no_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    write_history(tmp_path / "file" / "sites" / "one.json", PAST)


def test_a_file_stands_where_neither_size_nor_time_differ(tmp_path):
    path = tmp_path / "a.html"
    path.write_text("abc")
    written = Written("a.html", 3, "", True, path.stat().st_mtime_ns)
    several = [written, written._replace(size=4), written._replace(changed=1), written._replace(path="b.html")]
    assert list(standing(tmp_path, several)) == [True, False, False, False]


# -- digests of code ------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a few modules in place of ours."""
    folder = tmp_path / "generator"
    modules = {
        "__init__.py": "from generator.apart import x\n",
        "analysis.py": "import os\nfrom generator.near import a\nfrom generator.parts import inner as other\n",
        "near.py": "if TYPE_CHECKING:\n    from generator.far import (\n        b,  # a word\n        c,\n    )\n",
        "far.py": "def late():\n    import generator.late as it\n",
        "late.py": "LATE = 1\n",
        "parts/__init__.py": "PARTS = 1\n",
        "parts/inner.py": "INNER = 1\n",
        "parts/outer.py": "OUTER = 1\n",
        "apart.py": "from generator.analysis import d\n",
    }
    for name, text in modules.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(code, "PACKAGE", folder)
    cached = (code.code_digest, code.program_digest, code._imported)

    def digest() -> str:
        for each in cached:
            each.cache_clear()
        return code.code_digest("generator.analysis")

    yield folder, digest
    for each in cached:
        each.cache_clear()


@pytest.mark.parametrize("name", ["analysis.py", "near.py", "far.py", "late.py", "parts/inner.py", "parts/__init__.py"])
def test_a_change_of_what_a_module_imports_however_far_is_another_digest(package, name):
    folder, digest = package
    before = digest()
    (folder / name).write_text((folder / name).read_text() + "# changed\n")
    assert digest() != before


@pytest.mark.parametrize("name", ["apart.py", "parts/outer.py", "__init__.py"])
def test_a_change_of_what_it_does_not_import_is_not(package, name):
    folder, digest = package
    before = digest()
    (folder / name).write_text("CHANGED = 1\n")
    assert digest() == before


def test_another_version_of_a_library_is_another_digest(package, monkeypatch):
    _, digest = package
    before = digest()
    monkeypatch.setattr(code, "library_versions", lambda: (("numpy", "0"),))
    assert digest() != before


def test_every_import_of_ours_is_seen():
    """As Python itself reads the files."""
    for file in sorted(code.PACKAGE.rglob("*.py")):
        named = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{file} imports by a relative name"
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        ours = {name for name in named if name.partition(".")[0] == "generator"}
        assert set(code._imported(file)) == {found for name in ours for found in code._files_of(name)}, file
