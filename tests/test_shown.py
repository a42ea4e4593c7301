"""Keys of the parts of a site: what is shown of a result is in the key of every part that shows it, whatever became of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields, is_dataclass, replace
from functools import cache
from hashlib import sha256
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from generator import rendering
from generator.build import Report, Want, Work
from generator.facts import model_facts
from generator.keeping.files import Digests
from generator.keeping.packing import pack, unpack
from generator.keeping.store import Store, StoreError
from generator.look import OURS, Renderer
from generator.pages.common import ModelContext
from generator.parts import Parts
from generator.progress import Progress
from generator.records import AtlasFacts, Note, Results
from generator.spec import load_spec

NETS = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, wide, narrow):
        super().__init__()
        self.a, self.norm_a = nn.Conv2d(wide, narrow, 1, bias=False), nn.BatchNorm2d(narrow)
        self.b, self.norm_b = nn.Conv2d(narrow, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide)

    def forward(self, x):
        return torch.relu(x + self.norm_b(self.b(torch.relu(self.norm_a(self.a(x))))))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.one, self.two, self.three, self.fc = Block(4, 3), Block(4, 2), Block(4, 3), nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(self.three(self.two(self.one(torch.relu(self.norm(self.stem(x)))))).mean((2, 3)))

def make():
    return Net()
"""
SPEC = """
title: A stream
site_url: https://a.org/atlas/
families: families.yaml
models:
  - {name: net, source: "nets:make", weights: w.pt, input_size: 16, layers: [input, stem, "two.?", "three.?", fc]}
connections: {show: 3, scale_by_source: true}
faces: {pictures: "icons/{layer}/{unit}.png", images: photos}
"""
FAMILIES = "Some:\n  neurons: {stem: [0, 1], three.a: [2]}\nOthers:\n  neurons: {three.b: [1]}\n"


def net() -> nn.Module:
    scope: dict = {"__name__": "nets"}
    exec(NETS, scope)
    return scope["make"]()


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights of the network, whose norms do something."""
    torch.manual_seed(seed)
    found = net().state_dict()
    for name, tensor in found.items():
        if "norm" in name and tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The spec with everything it names."""
    made = tmp_path_factory.mktemp("shown") / "project"
    for name, text in (("nets.py", NETS), ("atlas.yaml", SPEC), ("families.yaml", FAMILIES)):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    for place in ("icons/two.b", "photos"):
        (made / place).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (16, 16), (80 * number, 20, 10)).save(made / place / f"{number}.png")
    torch.save(state(), made / "w.pt")
    return made


class Changed(Store):
    """The results of a store, some of them changed in memory."""

    changed: dict[str, object]

    def get(self, key, trusted=False):
        return self.changed[key] if key in self.changed else super().get(key, trusted)

    def told(self, key):
        return told(self.changed[key]) if key in self.changed else self.first_told(key)

    @cache  # noqa: B019 (as long-lived as the tests of this module)
    def first_told(self, key):
        return super().told(key)

    __hash__ = object.__hash__


def told(value):
    """As `Store.told`, of a value in memory."""
    plain, arrays = pack(value)
    return unpack(plain, [f"{each.dtype} {each.shape} {sha256(each.tobytes()).hexdigest()}" for each in arrays])


class Site:
    """The parts of one site, and what they are rendered from."""

    def __init__(self, folder) -> None:
        spec = load_spec(folder / "atlas.yaml")
        self.digests, self.store = Digests(folder / "files.json"), Changed(folder / ".atlas-cache")
        self.store.changed = {}
        self.atlas, self.results = Work(spec, self.store, self.digests, Want(), Progress(quiet=True), Report()).out()
        self.renderer = Renderer(self.atlas, OURS)
        self.first = {key: self.store.get(key) for keys in self.results[0].keys for _, key in all_keys(keys)}

    def change(self, leaves=()) -> None:
        """From now on these (key, path) are other than they were, and only these."""
        paths: dict[str, set] = defaultdict(set)
        for key, path in leaves:
            paths[key].add(path)
        # those not named are told from memory too: a text for an array is the same only where it is made the same way
        self.store.changed = {key: changed(value, paths[key]) for key, value in self.first.items()}

    def tasks(self) -> list[rendering.PartTask]:
        return list(Parts(self.atlas, self.results, OURS, self.digests, self.store).tasks())

    def keys(self) -> dict[str, str]:
        """Of every part."""
        return {task.name: task.key for task in self.tasks()}

    def files(self, names=None) -> dict[str, list[tuple[str, str]]]:
        """(path, size, digest) of every file, by part."""
        tasks = [replace(task, stage="nowhere") for task in self.tasks()]
        facts = model_facts(self.results[0], self.store)
        context = ModelContext(replace(self.atlas, models=(facts,)), facts, tasks[-1].places)
        self.renderer.atlas = self.renderer.environment.globals["atlas"] = context.atlas
        rendering._last = tasks[-1].shared, ([context], self.renderer)  # for all tasks are about this model
        asked = (task for task in tasks if names is None or task.name in names)
        return {task.name: [file[:3] for file in rendering.render_part(task).files] for task in asked}


def all_keys(keys) -> list[tuple[str, str]]:
    """(name, key) of all results of a layer."""
    return [("weights", keys.weights), ("tables", keys.tables), *keys.facts]


@pytest.fixture
def site(folder, monkeypatch):
    monkeypatch.setattr(rendering, "_last", None)
    monkeypatch.setattr(rendering, "put_file", lambda *_: SimpleNamespace(st_mtime_ns=0))
    return Site(folder)


# -- what can be other in a result ------------------------------------------------------------------------------------------

FIXED = {
    "source",
    "target",
    "here",
    "there",
    "direction",
    "classes",
    "grid",
    "kind",
    "sources",
    "method",
}  # they name something
FIXED |= {"sizes", "top", "shrunk", "stride", "offset", "size", "shown_at", "outside"}  # others go by them


def leaves(value, path=()):
    """The paths of all arrays, texts and numbers in a result that can be other."""
    if is_dataclass(value):
        for each in fields(value):
            found = getattr(value, each.name)
            if each.name not in FIXED or (isinstance(found, np.ndarray) and each.name == "there"):
                yield from leaves(found, (*path, each.name))
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        for at, each in enumerate(value):
            yield from leaves(each, (*path, at))
    elif other(value) is not None or path == ("refused",):
        yield path


def changed(value, paths):
    """A result with what lies at these paths changed."""
    if () in paths:
        found = other(value)
        return ("weights on it cannot be read",) if found is None else found
    if not paths:
        return value
    names = {path[0] for path in paths}
    within = {name: {path[1:] for path in paths if path[0] == name} for name in names}
    if isinstance(value, tuple):
        return tuple(changed(each, within.get(at, set())) for at, each in enumerate(value))
    return replace(value, **{name: changed(getattr(value, name), inner) for name, inner in within.items()})


def other(value):
    """Something else of the same sort and shape; None where there is nothing else to say."""
    if isinstance(value, np.ndarray):
        return other_numbers(value) if value.size else None
    if isinstance(value, tuple):
        return tuple(map(other, value)) if value and all(isinstance(each, str) for each in value) else None
    if isinstance(value, str):
        return f"{value} changed"
    return value * 1.5 + 1 if isinstance(value, float) else None


def other_numbers(value: np.ndarray) -> np.ndarray:
    """Neurons stay neurons, ranks ranks."""
    if value.dtype == bool:
        return np.zeros_like(value)
    if value.dtype == np.uint8:
        return 255 - value
    if value.dtype.kind == "i":
        return np.roll(value, 1, 0)
    return (value * np.linspace(0.5, 1.5, value.size).reshape(value.shape)).astype(value.dtype)


# -- the tests --------------------------------------------------------------------------------------------------------------


def test_nothing_that_is_not_in_a_parts_key_is_on_its_pages(site):
    """All that its key does not depend on is changed at once, and its files are what they were."""
    site.change()
    keys, files = site.keys(), site.files()
    every = [(key, path) for key, value in site.first.items() for path in leaves(value)]
    idle: dict[str, list] = {name: [] for name in keys}
    for leaf in every:
        site.change([leaf])
        for name, key in site.keys().items():
            if key == keys[name]:
                idle[name].append(leaf)
    assert len(every) > 300 and all(len(some) > 0 for name, some in idle.items() if name != "net")
    for name, some in idle.items():
        site.change(some)
        assert site.keys()[name] == keys[name]
        made = site.files([name])[name]
        if made != files[name]:
            raise AssertionError(f"{name} shows {blamed(site, name, files[name], some)}, which its key does not tell")


def without(units: np.ndarray) -> np.ndarray:
    return units[:-1]


def with_layer(results: Results, place: int, **said) -> Results:
    layers = list(results.plan.layers)
    layers[place] = replace(layers[place], **said)
    return replace(results, plan=replace(results.plan, layers=tuple(layers)))


def with_member(atlas: AtlasFacts) -> AtlasFacts:
    some, others = atlas.families
    first, *rest = some.members
    return replace(atlas, families=(replace(some, members=(replace(first, units=(0, 2)), *rest)), others))


NOTE = Note("net", "two.b", 1, "See [[stem:2]] and [[Some]].", "notes/net/two.b/1.md")
SAID = {
    "fewer pages": lambda atlas, one: (atlas, replace(one, chosen=(*one.chosen[:3], without(one.chosen[3]), *one.chosen[4:]))),
    "another order of faces": lambda atlas, one: (
        atlas,
        replace(one, orders=tuple(each[::-1] if place == 3 else each for place, each in enumerate(one.orders))),
    ),
    "class names": lambda atlas, one: (atlas, with_layer(one, 6, labels=("ant", "bee", "cat", "dog", "eel"))),
    "another digest of the weights": lambda atlas, one: (
        atlas,
        replace(one, plan=replace(one.plan, provenance=replace(one.plan.provenance, sha256="0" * 64))),
    ),
    "another file": lambda atlas, one: (
        atlas,
        replace(one, plan=replace(one.plan, provenance=replace(one.plan.provenance, weights="other.pt"))),
    ),
    "another member": lambda atlas, one: (with_member(atlas), one),
    "a family less": lambda atlas, one: (replace(atlas, families=atlas.families[:1]), one),
    "what a family says": lambda atlas, one: (
        replace(atlas, families=tuple(replace(each, note="Like [[fc:1]].") for each in atlas.families)),
        one,
    ),
    "a note": lambda atlas, one: (replace(atlas, notes=(NOTE,)), one),
    "scales of the sources": lambda atlas, one: (replace(atlas, scaled_by_source=False), one),
}


@pytest.mark.parametrize("what", SAID)
def test_a_part_whose_key_is_the_same_has_the_same_files_whatever_else_is_said(site, what):
    site.change()
    keys, files = site.keys(), site.files()
    site.atlas, one = SAID[what](site.atlas, site.results[0])
    site.results = (one,)
    now, made = site.keys(), site.files()
    assert [name for name in keys if made[name] != files[name] and now[name] == keys[name]] == []
    assert any(made[name] != files[name] for name in keys)


def blamed(site: Site, name: str, files: list, some: list) -> list:
    """Which of these changes a part shows."""
    names = {key: f"{each.address} {what}" for each in site.results[0].keys for what, key in all_keys(each)}
    found = []
    for key, path in some:
        site.change([(key, path)])
        if site.files([name])[name] != files:
            found.append((names[key], *path))
    return found


def test_what_is_worked_out_anew_and_is_the_same_changes_no_key(site):
    keys = site.keys()
    site.store.first_told.cache_clear()
    for key, value in site.first.items():
        site.store.drop(key)
        site.store.put(key, value)
    assert site.keys() == keys


def test_what_is_told_of_an_array_is_its_type_its_shape_and_a_digest(tmp_path):
    store = Store(tmp_path / "cache")
    arrays = [np.arange(6, dtype=np.float32).reshape(shape) for shape in ((2, 3), (3, 2), (6,))]
    arrays += [arrays[0] + 1, arrays[0].astype(np.float64), np.zeros((0, 3), np.float32), np.float32(3)[None][0:1, None]]
    store.put("a" * 64, (*arrays, "text", None, 3))
    found = store.told("a" * 64)
    assert found[-3:] == ("text", None, 3)
    assert len(set(found[:-3])) == len(arrays)
    assert found[0].startswith("F32 2x3 ")
    store.put("b" * 64, (arrays[0].copy(order="F"),))
    assert store.told("b" * 64) == (found[0],)
    store.put("c" * 64, None)
    assert store.told("c" * 64) is None
    with pytest.raises(StoreError, match="Build again"):
        store.told("d" * 64)


def test_of_what_is_at_an_address_alone_only_what_is_told_is_brought_and_kept(tmp_path):
    there, key = (tmp_path / "there").as_uri(), "a" * 64
    value = (np.arange(1 << 20, dtype=np.float32), tuple("many words" for _ in range(9_000)))  # a header of over 65,536 bytes
    one, other_one = Store(tmp_path / "one", there), Store(tmp_path / "other", there)
    one.put(key, value)
    other_one.begin()
    assert other_one.told(key) == one.told(key)
    assert not other_one.path(key).exists()
    assert sum(path.stat().st_size for path in (tmp_path / "other").rglob("*.safetensors")) < 300_000
    one.remote.remove(f"aa/{key}.safetensors")
    assert other_one.told(key) == one.told(key)
    with pytest.raises(StoreError, match="Build again"):
        other_one.told("b" * 64)


def test_a_pair_of_layers_is_a_part_of_its_own(site):
    keys = site.keys()
    assert {"net/stem", "net/stem/from-input.html", "net/three.a/from-two.b.html", "net/three.a/from-stem.html"} <= set(keys)
    assert len(set(keys.values())) == len(keys)


def test_every_file_is_in_one_part(site):
    paths = [file[0] for files in site.files().values() for file in files]
    assert len(set(paths)) == len(paths)
