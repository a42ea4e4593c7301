"""Dataset examples: the largest activations of a brute-force search, whatever the batches, the threads and the interruptions."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from generator.context import crops, examples, tallies
from generator.context.examples import ExampleOptions, Source, collect_examples
from generator.context.images import Images, open_images
from generator.context.receptive import Reach, reaches, unit_reaches
from generator.context.visualize import Subject
from generator.context.watching import peaks_of
from generator.errors import ImagesError, LayerError, ModelError
from generator.expand import weights_between
from generator.graph import trace
from generator.models import load_model
from generator.spec import ModelSpec

ROOT = Path(__file__).resolve().parents[1]
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "tiny-imagenet.zip"
SIDE = 24
LAYERS = ("stem.0", "mix", "block", "head")
QUICK = ExampleOptions(top=3, spread=2, batch=4, bins=8, side=16)


class Pieces(nn.Module):
    """A concat of branches that see unlike parts, a pool behind one, a sum that writes over its input, a classifier."""

    def __init__(self, channels=3):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.mix = Mix()
        self.block = Block()
        self.head = nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.mix(self.stem(x)))
        return self.head(x.mean((2, 3)))


class Mix(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(6, 4, 1, 2), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.two = nn.Sequential(nn.Conv2d(6, 5, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.two(x)], 1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(9, 9, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y += x
        return functional.relu(y, inplace=True)


def made(kind=Pieces, *arguments, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = kind(*arguments).eval().requires_grad_(False)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
                part.weight.uniform_(0.5, 1.5)
    return module


def subject(module, channels=3, size=SIDE):
    return Subject(trace(module, (channels, size, size)), "a digest", (0.5,) * channels, (0.25,) * channels)


def pictures(count, size=SIDE, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 3), np.uint8)
    return [np.asarray(Image.fromarray(each).resize((size, size))) for each in small]


def load_bundled():
    if not PHOTOGRAPHS.is_file():
        pytest.skip(f"needs {PHOTOGRAPHS.name}, which is not at hand")
    return load_model(ModelSpec(name="bundled", source="bundled"), ROOT)


def packed(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def held(contents):
    """Images in memory: a dict of name to content."""
    return Images(tuple(sorted(contents)), (), str(hash(tuple(sorted(contents.items())))), contents.__getitem__)


def of_pictures(pixels):
    return held({f"{number:03}.png": packed(each) for number, each in enumerate(pixels)})


def numbers_of(found):
    """Which pictures, by their number."""
    known = np.array([int(name[:3]) for name in found.names] + [-1])
    return known[found.images]


def same(one, other):
    """Whether two records hold the same bytes."""
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), field.name
        else:
            assert a == b, field.name


@pytest.fixture(scope="module")
def seen():
    """Forty pictures, the network, and what it makes of them layer by layer, without any code of ours."""
    pixels, module = pictures(40), made()
    fed = (torch.from_numpy(np.stack(pixels)).movedim(-1, 1).float() / 255 - 0.5) / 0.25
    kept = {}
    hooks = [
        module.stem.register_forward_hook(lambda m, i, o: kept.update({"stem.0": o.clone()})),
        module.mix.register_forward_hook(lambda m, i, o: kept.update(mix=o.clone())),
        module.block.register_forward_hook(lambda m, i, o: kept.update(block=o.clone())),
        module.head.register_forward_hook(lambda m, i, o: kept.update(head=o.clone())),
    ]
    module(fed)
    for hook in hooks:
        hook.remove()
    return pixels, module, {address: kept[address].numpy() for address in LAYERS}


@pytest.fixture(scope="module")
def found(seen):
    pixels, module, _ = seen
    return collect_examples(subject(module), LAYERS, of_pictures(pixels), QUICK)


# -- what is found ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", LAYERS)
def test_the_examples_are_those_of_a_search_through_everything(seen, found, address):
    activations = seen[2][address]
    best = activations.reshape(*activations.shape[:2], -1).max(2)
    order = np.argsort(-best, axis=0, kind="stable")[:3].T
    expected = np.take_along_axis(best.T, order, 1)
    active = expected > (-np.inf if address == "head" else 0)
    assert active.any()
    assert np.array_equal(numbers_of(found[address])[:, :3], np.where(active, order, -1))
    assert np.allclose(found[address].activations[:, :3], np.where(active, expected, np.nan), 1e-4, 1e-5, equal_nan=True)


@pytest.mark.parametrize("address", LAYERS)
def test_the_position_is_where_the_activation_is(seen, found, address):
    activations, record = seen[2][address], found[address]
    numbers = numbers_of(record)
    for unit, rank in np.argwhere(numbers >= 0):
        row, col = record.positions[unit, rank]
        there = activations[numbers[unit, rank], unit]
        assert np.isclose(there[row, col] if there.ndim else there, record.activations[unit, rank], 1e-4, 1e-5)
    assert (record.positions[numbers < 0] == -1).all()


@pytest.mark.parametrize("address", LAYERS)
def test_the_histogram_counts_every_picture_in_its_bin(seen, found, address):
    activations, record = seen[2][address], found[address]
    best = activations.reshape(*activations.shape[:2], -1).max(2).astype(np.float64)
    assert (record.counts.sum(1) == 40).all()
    assert (record.silent == (best <= 0).sum(0)).all()
    for unit in range(best.shape[1]):
        edges = record.first[unit] + record.width[unit] * np.arange(QUICK.bins + 1)
        assert np.array_equal(np.histogram(best[:, unit], edges)[0], record.counts[unit])
    assert np.allclose(record.low, best.min(0), 1e-4, 1e-5)
    assert np.allclose(record.high, best.max(0), 1e-4, 1e-5)


def test_the_examples_across_the_range_come_from_its_parts_and_are_no_others(found):
    record = found["head"]
    values, numbers = record.activations, numbers_of(record)
    low, high = record.low, values[:, 2]
    for part in (0, 1):
        here = numbers[:, 3 + part] >= 0
        share = (values[:, 3 + part] - low) / (high - low)
        assert here.any()
        assert ((share >= part / 2 - 1e-6) & (share <= (part + 1) / 2 + 1e-6))[here].all()
    for row in numbers:
        real = row[row >= 0]
        assert len(set(real)) == len(real)


def test_a_crop_is_the_part_of_the_picture_that_can_change_the_activation(seen, found):
    pixels, module, _ = seen
    record, reach = found["mix"], {0: 3, 4: 6}  # a 1x1 over a 3x3; a pool of 2 over a 3x3 over a 3x3
    for unit, size in reach.items():
        row, col = record.positions[unit, 0]
        picture = pixels[numbers_of(record)[unit, 0]]
        first = (2 * row - size // 2 + (unit == 4), 2 * col - size // 2 + (unit == 4))
        inside = [slice(max(f, 0), min(f + size, SIDE)) for f in first]
        box = [inside[0].start, inside[1].start, inside[0].stop - inside[0].start, inside[1].stop - inside[1].start]
        assert record.boxes[unit, 0].tolist() == box
        fed = ((torch.from_numpy(picture.copy()).movedim(-1, 0).float()[None] / 255 - 0.5) / 0.25).requires_grad_(True)
        module.mix(module.stem(fed))[0, unit, row, col].backward()
        touched = np.argwhere(fed.grad[0].abs().sum(0).numpy() > 0)
        assert (touched >= [s.start for s in inside]).all()
        assert (touched < [s.stop for s in inside]).all()


def test_tiles_hold_the_pixels_and_beyond_the_border_what_the_network_reads_as_zero(seen, found):
    pixels, record = seen[0], found["stem.0"]
    assert record.crops.shape[2:] == (3, 3, 3)
    for unit, rank in np.argwhere(numbers_of(record) >= 0):
        row, col = record.positions[unit, rank] - 1
        picture = np.full((SIDE + 2, SIDE + 2, 3), 128, np.uint8)
        picture[1:-1, 1:-1] = pixels[numbers_of(record)[unit, rank]]
        assert np.array_equal(record.crops[unit, rank], picture[row + 1 : row + 4, col + 1 : col + 4])


def test_a_neuron_that_sees_everything_is_shown_the_whole_picture(seen, found):
    record = found["head"]
    whole = Image.fromarray(seen[0][numbers_of(record)[0, 0]]).resize((16, 16), Image.Resampling.LANCZOS)
    assert record.boxes[0, 0].tolist() == [0, 0, SIDE, SIDE]
    assert np.array_equal(record.crops[0, 0], np.asarray(whole))


def test_names_credit_and_counts_are_told(seen):
    pixels, module, _ = seen
    source = Source("its photographers", "CC BY 4.0")
    record = collect_examples(subject(module), ["head"], of_pictures(pixels[:5]), QUICK, source=source)["head"]
    assert (record.credit, record.licence) == ("its photographers", "CC BY 4.0")
    assert (record.seen, record.refused, record.refused_count, record.top) == (5, (), 0, 3)
    assert record.names == tuple(sorted(set(record.names)))
    assert set(record.names) <= {f"{number:03}.png" for number in range(5)}
    assert record.size == (SIDE, SIDE)


def test_the_examples_of_the_bundled_network_are_those_of_its_own_forward(tmp_path):
    loaded = load_bundled()
    graph = trace(loaded.module, loaded.input_shape)
    with open_images(PHOTOGRAPHS, 60) as images:
        contents = [images.read(name) for name in images.names]
        given = Subject(graph, loaded.provenance.sha256, loaded.mean, loaded.std)
        record = collect_examples(given, ["mixed3b", "classifier"], images, replace(QUICK, batch=32))
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(each)).convert("RGB")) for each in contents])
    mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (loaded.mean, loaded.std))
    kept = []
    hook = loaded.module.mixed3b.register_forward_hook(lambda m, i, o: kept.append(o.amax((2, 3)).numpy()))
    kept.append(loaded.module((torch.from_numpy(pixels).movedim(-1, 1).float() / 255 - mean) / std).numpy())
    hook.remove()
    for address, best in zip(("mixed3b", "classifier"), kept, strict=True):
        expected = -np.sort(-best, axis=0)[:3].T
        active = expected > (0 if address == "mixed3b" else -np.inf)
        assert np.allclose(record[address].activations[:, :3][active], expected[active], 1e-3, 1e-3)
        assert np.isnan(record[address].activations[:, :3][~active]).all()


# -- the same whatever the way ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads_gives_the_same_bytes(seen, found, threads):
    pixels, module, _ = seen
    again = collect_examples(subject(module), LAYERS, of_pictures(pixels), QUICK, threads=threads)
    for address in LAYERS:
        same(found[address], again[address])


def test_threads_of_the_caller_are_as_they_were(seen):
    before = torch.get_num_threads()
    collect_examples(subject(seen[1]), ["head"], of_pictures(seen[0][:2]), QUICK)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("after", [1, 12, 39])
def test_a_run_that_is_killed_and_begun_again_gives_the_same_bytes(seen, found, tmp_path, after):
    pixels, module, _ = seen
    looked = []

    def killed(count):
        looked.append(count)
        if sum(looked) >= after:
            raise KeyboardInterrupt

    arguments = (subject(module), LAYERS, of_pictures(pixels), QUICK, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        collect_examples(*arguments, on_images=killed, every=8)
    told = []
    again = collect_examples(*arguments, on_images=told.append, every=8)
    assert told[0] == (after - after % 8 if after > 8 else 0) or told[0] == 40
    assert sum(told) == 40
    for address in LAYERS:
        same(found[address], again[address])
        assert not again[address].crops.flags.writeable


def test_a_finished_run_is_not_made_again(seen, found, tmp_path, monkeypatch):
    pixels, module, _ = seen
    arguments = (subject(module), LAYERS, of_pictures(pixels), QUICK, tmp_path)
    collect_examples(*arguments)
    monkeypatch.setattr(examples.Watch, "peaks", lambda *_: pytest.fail("the network was run"))
    same(found["mix"], collect_examples(*arguments)["mix"])


def test_what_another_run_or_a_damaged_file_kept_is_not_used(seen, found, tmp_path):
    pixels, module, _ = seen
    few = collect_examples(subject(module), LAYERS, of_pictures(pixels[:9]), QUICK, tmp_path)
    assert few["mix"].seen == 9
    collect_examples(subject(module), LAYERS, of_pictures(pixels), replace(QUICK, seed=1), tmp_path)
    for file in tmp_path.glob("*.npz"):
        file.write_bytes(file.read_bytes()[:-100])
    same(found["mix"], collect_examples(subject(module), LAYERS, of_pictures(pixels), QUICK, tmp_path)["mix"])
    assert not list(tmp_path.glob("*.part"))


def test_the_tally_does_not_depend_on_order_or_batches():
    random = np.random.default_rng(0)
    values = random.normal(0, 10.0 ** random.integers(-3, 3, (60, 7)), (60, 7)).astype(np.float32)
    values[:, 1], values[5, 2], values[::2, 3], values[:, 4] = 0, np.nan, 1.5, -2
    positions = random.integers(0, 99, (60, 7)).astype(np.int32)

    def counted(order, batch):
        tally = tallies.empty(7, 4, 8)
        for start in range(0, 60, batch):
            here = order[start : start + batch]
            tallies.add(tally, values[here], positions[here], here.astype(np.int32), 3, np.zeros(7, bool))
        return tally

    first = counted(np.arange(60), 60)
    for batch in (1, 7, 60):
        other = counted(random.permutation(60), batch)
        for name in tallies.NAMES:
            assert getattr(first, name).tobytes() == getattr(other, name).tobytes(), name
    assert first.broken.tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert (first.counts.sum(1) + first.broken == 60).all()


def test_bins_are_as_narrow_as_they_can_be():
    random = np.random.default_rng(1)
    low = random.normal(0, 5, 500).astype(np.float32)
    high = low + random.exponential(4, 500).astype(np.float32) + np.float32(0.01)
    for one, other, exponent in zip(low.tolist(), high.tolist(), tallies.widths(low, high, 8).tolist(), strict=True):
        width = Fraction(2) ** exponent
        assert Fraction(other) // width - Fraction(one) // width < 8
        assert Fraction(other) // (width / 2) - Fraction(one) // (width / 2) >= 8


@pytest.mark.parametrize("extreme", [(0.0, 0.0), (1e-45, 3e38), (-3.4e38, 3.4e38), (7.0, 7.0), (-1e-40, 0.0), (1e6, 1e6 + 1)])
def test_any_finite_range_has_bins(extreme):
    tally = tallies.empty(1, 1, 32)
    for number, value in enumerate(extreme):
        batch = (np.array([[value]], np.float32), np.zeros((1, 1), np.int32), np.array([number], np.int32))
        tallies.add(tally, *batch, 0, np.array([False]))
    assert tally.counts.sum() == 2


def test_each_image_of_a_bin_is_drawn_about_as_often():
    units = 4000
    values, positions = np.ones((4, units), np.float32), np.zeros((4, units), np.int32)
    tally = tallies.empty(units, 0, 4)
    tallies.add(tally, values, positions, np.arange(4, dtype=np.int32), 0, np.zeros(units, bool))
    drawn = np.bincount(tallies.across(tally, 1)[1].ravel(), minlength=4)
    assert np.abs(drawn - units / 4).max() < 5 * np.sqrt(units * 3 / 16)


# -- degenerate inputs ----------------------------------------------------------------------------------------------------------


def test_fewer_pictures_than_ranks_leave_the_others_empty(seen):
    record = collect_examples(subject(seen[1]), ["head"], of_pictures(seen[0][:2]), QUICK)["head"]
    assert (record.images[:, 2:] == -1).all()
    assert np.isnan(record.activations[:, 2:]).all()
    assert (record.crops[:, 2:] == 0).all()
    assert (record.boxes[:, 2:] == 0).all()


def test_a_single_picture_is_enough(seen):
    record = collect_examples(subject(seen[1]), LAYERS, of_pictures(seen[0][:1]), QUICK)["head"]
    assert (record.images[:, 0] == 0).all()
    assert (record.low == record.high).all()


def test_of_equal_activations_the_first_picture_comes_first():
    record = collect_examples(subject(made()), ["head"], of_pictures([pictures(1)[0]] * 9), QUICK)["head"]
    assert (numbers_of(record)[:, :3] == [0, 1, 2]).all()


def test_a_dead_neuron_has_no_examples_and_that_is_said():
    module = made()
    module.stem[1].weight[2] = 0.0
    module.stem[1].bias[2] = -1.0
    record = collect_examples(subject(module), ["stem.0"], of_pictures(pictures(6)), QUICK)["stem.0"]
    assert record.notes[2] == "it is active on none of 6 pictures"
    assert (record.images[2, :3] == -1).all()
    assert record.silent[2] == 6
    assert [note for unit, note in enumerate(record.notes) if unit != 2] == [""] * 5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_activations_that_are_no_numbers_are_counted_apart(value):
    module = made()
    module.head.weight[1, 0] = value
    module.head.bias[1] = value
    record = collect_examples(subject(module), ["head"], of_pictures(pictures(6)), QUICK)["head"]
    assert record.notes[1] == "its activation is no finite number on 6 of 6 pictures"
    assert (record.images[1] == -1).all()
    assert record.counts[1].sum() == 0
    assert (record.images[0, :3] >= 0).all()


def test_a_constant_neuron_has_one_bin():
    module = made()
    module.head.weight[0] = 0
    module.head.bias[0] = -0.75
    record = collect_examples(subject(module), ["head"], of_pictures(pictures(6)), QUICK)["head"]
    assert record.counts[0].tolist() == [6] + [0] * 7
    assert record.low[0] == record.high[0] == record.first[0] == -0.75


def test_what_cannot_be_read_is_counted_and_named_and_changes_nothing_else(seen, found):
    pixels, module, _ = seen
    contents = {f"{number:03}.png": packed(each) for number, each in enumerate(pixels)}
    whole = held(contents)
    broken = held({**contents, "003.png": b"", "010.png": contents["010.png"][:90]})
    assert len(whole.names) == len(broken.names)
    record = collect_examples(subject(module), LAYERS, broken, QUICK)["head"]
    assert record.seen == 38
    assert record.refused_count == 2
    assert [name for name, _ in record.refused] == ["003.png", "010.png"]
    assert record.refused[0][1] == "is empty"
    best = np.where(np.isin(np.arange(40), (3, 10))[:, None], -np.inf, seen[2]["head"])
    assert np.array_equal(numbers_of(record)[:, :3], np.argsort(-best, axis=0)[:3].T)
    others = np.isin(numbers_of(found["head"])[:, :3], numbers_of(record)[:, :3])
    assert set(found["head"].activations[:, :3][others]) <= set(record.activations[:, :3].ravel())  # to the last bit


def test_if_nothing_can_be_read_that_is_a_mistake(seen):
    with pytest.raises(ImagesError, match=r"none of 2 pictures can be used; a\.png is empty$"):
        collect_examples(subject(seen[1]), ["head"], held({"a.png": b"", "b.png": b"x"}), QUICK)


def test_a_picture_that_changes_meanwhile_is_a_mistake(seen, tmp_path):
    contents = {"a.png": packed(seen[0][0])}
    images = held(contents)

    def spoil(count):
        contents["a.png"] = b""

    with pytest.raises(ImagesError, match=r"a\.png: changed while it was looked at: is empty"):
        collect_examples(subject(seen[1]), ["head"], images, QUICK, tmp_path, on_images=lambda n: spoil(n) if n else None)
    assert [file.suffix for file in tmp_path.iterdir()] == [".npz"]


def test_a_picture_of_several_frames_is_remarked_on(seen):
    file, frames = io.BytesIO(), [Image.fromarray(each) for each in seen[0][:2]]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    record = collect_examples(subject(seen[1]), ["head"], held({"a.gif": file.getvalue()}), QUICK)["head"]
    assert record.remarks == (("a.gif", "holds several frames: its first is used"),)


def test_a_network_of_one_channel_is_shown_grey_pictures():
    record = collect_examples(subject(made(Pieces, 1), 1), ["stem.0"], of_pictures(pictures(3)), QUICK)["stem.0"]
    assert (record.crops[..., 0] == record.crops[..., 1]).all()


def test_a_network_of_four_channels_is_a_mistake():
    with pytest.raises(ModelError, match="reads 4 channels"):
        collect_examples(subject(made(Pieces, 4), 4), ["head"], of_pictures(pictures(1)), QUICK)


def test_an_unknown_layer_is_a_mistake(seen):
    with pytest.raises(LayerError, match="no layer 'hed'; nearest: head"):
        collect_examples(subject(seen[1]), ["hed"], of_pictures(seen[0][:1]), QUICK)


@pytest.mark.parametrize(
    "changed", [{"spread": 0}, {"top": 0}, {"top": 0, "spread": 0}, {"side": 1}, {"batch": 1}, {"bins": 2}]
)
def test_the_least_options_work(seen, tmp_path, changed):
    options = replace(QUICK, **changed)
    record = collect_examples(subject(seen[1]), LAYERS, of_pictures(seen[0][:7]), options, tmp_path)["mix"]
    assert record.crops.shape[:2] == (9, options.top + options.spread)
    assert (record.counts.sum(1) == 7).all()


def test_pictures_of_a_zip_are_found_by_their_names(seen, tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, each in enumerate(seen[0][:5]):
            archive.writestr(f"{number:03}.png", packed(each))
        archive.writestr("notes.txt", "words")
    with open_images(path) as images:
        record = collect_examples(subject(seen[1]), ["head"], images, QUICK)["head"]
    assert record.refused == (("notes.txt", "is not named like a picture"),)
    assert (record.seen, record.refused_count) == (5, 1)


# -- what a position sees -------------------------------------------------------------------------------------------------------


class Odd(nn.Module):
    """Even kernels, dilation, pads and strides of several kinds."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, (2, 5), stride=(1, 2), padding=(1, 0))
        self.b = nn.Conv2d(4, 4, 3, dilation=2, padding="same", groups=2)
        self.c = nn.Conv2d(4, 3, 4, stride=3, padding=1)
        self.gate = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.avg_pool2d(functional.pad(self.b(functional.relu(self.a(x))), (0, 1, 2, 0)), 2)
        x = self.c(x)
        return x * torch.sigmoid(self.gate(functional.adaptive_avg_pool2d(x, 1)))


@pytest.mark.parametrize(("kind", "address", "size"), [(Pieces, "stem.0", 24), (Odd, "a", 64), (Odd, "b", 64), (Odd, "c", 64)])
def test_what_a_position_sees_is_as_large_as_its_expanded_weights(kind, address, size):
    graph = trace(made(kind), (3, size, size))
    reach = reaches(graph)[graph.site(address).end]
    weights = weights_between(graph, "input", address)
    assert reach == Reach(weights.offset, weights.kernel.shape[2:], weights.stride)


def test_what_each_branch_of_a_concat_sees_is_its_own():
    graph = trace(made(), (3, SIDE, SIDE))
    site = graph.site("mix")
    found = reaches(graph)
    assert list(unit_reaches(graph, site, found)) == [
        (4, Reach((-1, -1), (3, 3), (2, 2))),
        (5, Reach((-2, -2), (6, 6), (2, 2))),
    ]
    assert found[site.end] == Reach((-2, -2), (6, 6), (2, 2))


def test_where_all_may_be_seen_nothing_narrower_is_claimed():
    class Mixer(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.mix, self.last = nn.Conv2d(3, 4, 1), nn.Linear(64, 64), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.mix(self.conv(x).flatten(2)).unflatten(2, (8, 8)))

    graph = trace(made(Mixer), (3, 8, 8))
    assert reaches(graph)[graph.site("last").end] is None


@pytest.mark.parametrize("shape", [(2, 5, 6, 7), (2, 5, 4, 40), (2, 5, 1, 1), (2, 5)])
@pytest.mark.parametrize("last", [False, True])
def test_the_first_of_equal_positions_is_told(shape, last):
    neurons = torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(0)).float()
    given = neurons.movedim(1, -1) if last and len(shape) == 4 else neurons
    values, positions = peaks_of(given, last)
    flat = neurons.reshape(2, 5, -1).numpy()
    assert np.array_equal(values, flat.max(2))
    assert np.array_equal(positions, flat.argmax(2))


def test_a_window_wholly_beyond_the_border_is_all_ground():
    tile = crops.tile(np.zeros((4, 4, 3), np.uint8), (-5, -5, 3, 3), (3, 3), (9, 8, 7))
    assert (tile == (9, 8, 7)).all()
