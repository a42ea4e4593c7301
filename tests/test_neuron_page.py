import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sample_facts as sample
from test_pages import Page, plain_faces, said

from generator.analyses.connections import sign_word
from generator.analyses.statistics import statistics
from generator.look import beside
from generator.pages.common import ModelContext
from generator.pages.connections import signs
from generator.pages.factors import DRIVERS, drivers
from generator.pages.histogram import FEWEST, HEIGHT, WIDTH, Histograms
from generator.pages.neuron import NeuronPages
from generator.pages.sharing import FEWEST as FEWEST_ROWS
from generator.pages.sharing import LIGHT, cut, distances, shares
from generator.pages.views import sprite_style
from generator.pictures import SPRITE_COLUMNS, sprite_grid
from generator.records import Family, LayerFacts, Members, ModelFacts, NeuronFactors
from generator.render import render_site

PATH = "m/middle.3x3/7.html"
HERE = "m/middle.3x3/"


def facts_of(name, neurons, tables, faces=None, **more):
    """A layer with everything that a page can say of its neurons."""
    random = np.random.default_rng(neurons)
    reads = [pair.weights for pair in tables if pair.weights.target == name]
    bias, scale = random.standard_normal((2, neurons)).astype(np.float32)
    return sample.facts_of(
        sample.layer(name, "Conv2d", neurons), tables, faces, statistics=statistics(reads, bias, scale), **more
    )


@cache
def three_layers(kernel=3, neurons=64, site_url="", rows=20):
    """The site of three layers; the neuron in the middle has two tables of twenty rows, a family and every figure."""
    random = np.random.default_rng(0)
    every = [
        sample.weights("input", "below", random.standard_normal((neurons, 3, kernel, kernel))),
        sample.weights("below", "middle.3x3", random.standard_normal((neurons, neurons, kernel, kernel))),
        sample.weights("middle.3x3", "above", random.standard_normal((neurons, neurons, kernel, kernel))),
    ]
    tables = [sample.pair_of(one, rows) for one in every]
    layers = tuple(facts_of(name, neurons, tables) for name in ("below", "middle.3x3", "above"))
    atlas = sample.atlas(ModelFacts("m", sample.provenance(), (3, 8, 8), layers), site_url=site_url)
    family = Family("Curve detectors", "curve-detectors.html", "", (Members("m", "middle.3x3", (7,)),))
    return dict(render_site(replace(atlas, families=(family,))))


def loaded(site):
    """The addresses that a browser asks for to show the page, once each: those in it, and the sprites of classes that it has."""
    text = site[PATH].decode()
    given = re.findall(r'<(?:script|img)\b[^>]* src="?([^" >]+)|<link rel="?stylesheet"? href="?([^" >]+)|url\("([^"]+)', text)
    classes = {name for names in re.findall(r'class=(?:"([^"]*)"|([^ >]*))', text) for name in " ".join(names).split()}
    rules = re.findall(r'\.(\w+) ::before\{background-image:url\("([^"]+)"', site["m/faces.css"].decode())
    sprites = {f"../{address}" for css, address in rules if css in classes}
    return sprites | {next(filter(None, one)) for one in given if not next(filter(None, one)).startswith("data:")}


@pytest.mark.parametrize("site_url", ["", "https://example.github.io/atlas/"])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_page_with_two_tables_of_twenty_rows_and_every_figure_stays_within_its_bytes(kernel, site_url):
    page = three_layers(kernel, site_url=site_url)[PATH]
    shown = Page(page.decode())
    assert len(shown.tables["r0"]) == len(shown.tables["w0"]) == 21
    assert page.count(b"<svg") == 2
    assert all(
        word in said(shown) for word in ("Alike in", "sparsity", "bias", "Curve detectors", "Use this", "How was this made")
    )
    assert len(page) <= 12 * 1024


def test_a_page_asks_for_at_most_eight_files():
    asked = loaded(three_layers())
    assert {"../../theme.css", "../../atlas.css", "../../atlas.js", "../faces.css", "../middle.3x3/faces.png"} <= asked
    assert 1 + len(asked) <= 8


def test_a_page_beside_layers_of_2048_neurons_stays_within_100_kb():
    random, neurons = np.random.default_rng(0), 2048
    faces = plain_faces("rgb", random.integers(0, 256, (neurons, 3, 3, 3), dtype=np.uint8))
    few = [
        sample.weights("below", "middle.3x3", random.standard_normal((8, neurons, 3, 3))),
        sample.weights("middle.3x3", "above", random.standard_normal((neurons, 8, 3, 3))),
    ]
    tables = [sample.pair_of(one, 20) for one in few]
    wide = {name: sample.layer(name, "Conv2d", neurons) for name in ("below", "above")}
    layers = (
        sample.facts_of(wide["below"], tables, faces, chosen=np.arange(1, dtype=np.int32)),
        facts_of("middle.3x3", 8, tables),
        sample.facts_of(wide["above"], tables, faces, chosen=np.arange(1, dtype=np.int32)),
    )
    site = dict(render_site(sample.atlas(ModelFacts("m", sample.provenance(), (3, 8, 8), layers))))
    files = {HERE + one for one in loaded(site)}
    names = [re.sub(r"[^/]+/\.\./", "", re.sub(r"[^/]+/\.\./", "", one)) for one in files]
    assert sum("faces.png" in name for name in names) == 3
    pictures = [len(site[name]) for name in names if name.endswith(".png")]
    words = [len(site[name]) for name in (*names, PATH) if not name.endswith(".png")]  # as the barest host sends them
    assert max(pictures) <= 19 * 1024
    assert sum(pictures) + sum(words) <= 100_000


def test_the_style_sheet_knows_how_wide_a_sprite_is():
    assert f"round(down, var(--u, 0) / {SPRITE_COLUMNS}, 1)" in (beside("static") / "atlas.css").read_text("utf-8")
    assert "--w:128" in sprite_style("s0", sprite_grid(2048, 3, 3), "faces.png", 36)


def test_each_table_leads_to_its_layer_and_to_the_pair():
    links = Page(three_layers()[PATH].decode()).links
    assert {"../below/index.html", "../middle.3x3/from-below.html"} <= set(links)
    assert {"../above/index.html", "../above/from-middle.3x3.html"} <= set(links)


def test_every_how_was_this_made_opens_in_place_and_leads_to_the_method():
    site = three_layers()
    text = site[PATH].decode()
    marks = re.findall(
        r"<details class=how><summary>How was this made</summary>[^<]+<a href=../../how-to-read.html#([\w-]+)>", text
    )
    assert marks == ["pictures", "alike", "tables", "tables"]
    assert set(marks) <= set(Page(site["how-to-read.html"].decode()).ids)


def test_the_kernels_of_a_page_are_one_picture():
    text = three_layers()[PATH].decode()
    assert re.findall(r'<(\w+) class=two style="--kh:7;--sheet:url\(data:', text) == ["div"]
    assert re.search(r'<table id=r0 class="k s\d+" style=--kr:3;--kc:3;--ks:12;--kt:0>', text)
    assert re.search(r'<table id=w0 class="k s\d+" style=--kr:3;--kc:3;--ks:12;--kt:4>', text)


def test_rows_beyond_those_the_style_sheet_counts_name_their_kernel():
    rows = re.findall(r"<tr( style=--k:\d+)?><th><", three_layers(rows=30)[PATH].decode())
    assert rows[22:26] == ["", "", " style=--k:24", " style=--k:25"]
    assert len(rows) == 60


# -- numbers and neighbours ---------------------------------------------------------------------------------------------


def layer_page(facts: LayerFacts, unit=0):
    model = ModelFacts("m", sample.provenance(), (3, 8, 8), (facts,))
    return Page(dict(render_site(sample.atlas(model)))[f"m/{facts.layer.address}/{unit}.html"].decode())


def lone_layer(kernel, unit=0, **more):
    tables = sample.pairs([sample.weights("hidden", "only", kernel)])
    return layer_page(
        facts_of("only", len(kernel), tables, plain_faces("rgb", np.zeros((len(kernel), 3, 3, 3), np.uint8)), **more), unit
    )


def test_the_numbers_of_a_neuron_stand_on_its_page():
    kernel = np.zeros((2, 4, 1, 1))
    kernel[0, :2, 0, 0] = 3, -1
    text = said(lone_layer(kernel))
    assert "norm3.16" in text
    assert "sparsity0.74" in text  # (2 - 4 / sqrt(10)) / (2 - 1)
    assert "positive75%" in text
    assert "exact zeros50%" in text


def test_what_is_not_a_number_is_not_told():
    page = lone_layer(np.full((2, 3, 1, 1), np.nan))
    assert "sparsity" not in said(page)
    assert "Alike" not in said(page)


def test_a_layer_of_one_neuron_has_none_alike():
    page = lone_layer(np.ones((1, 3, 3, 3)))
    assert "norm" in said(page)
    assert "Alike" not in said(page)


def test_alike_neurons_are_linked_with_their_cosine():
    kernel = np.random.default_rng(0).standard_normal((4, 6, 3, 3))
    kernel[2] = kernel[0] * 2
    page = lone_layer(kernel)
    assert re.search(r"Alike in only\s*2 1\.00", said(page))
    assert "2.html" in page.links


def test_alike_neurons_without_a_page_are_named_without_a_link():
    kernel = np.ones((3, 2, 1, 1))
    page = lone_layer(kernel, chosen=np.array([0], np.int32))
    assert re.search(r"Alike in only\s*1 1\.002 1\.00", said(page))
    assert not {"1.html", "2.html"} & set(page.links)


def test_alike_classes_are_named():
    page = lone_layer(np.ones((2, 2, 1, 1)), labels=("cat", "tiger"))
    assert re.search(r"Alike in only\s*1 tiger 1\.00", said(page))


def test_many_tables_on_one_side_are_listed_above_them():
    random = np.random.default_rng(0)
    every = sample.pairs([sample.weights("only", f"w{number}", random.standard_normal((3, 3, 1, 1))) for number in range(7)])
    layers = [
        sample.facts_of(sample.layer(name, "Conv2d", 3), every) for name in ("only", *(f"w{number}" for number in range(7)))
    ]
    page = Page(
        dict(render_site(sample.atlas(ModelFacts("m", sample.provenance(), (3, 8, 8), tuple(layers)))))[
            "m/only/0.html"
        ].decode()
    )
    assert [f"#w{number}" for number in range(7)] == [link for link in page.links if re.fullmatch(r"#w\d", link)]
    assert {f"w{number}" for number in range(7)} <= set(page.ids)


# -- histograms -----------------------------------------------------------------------------------------------------------


def drawn(kernel, unit=0, rows=4, **changes):
    weights = sample.weights("a", "b", np.asarray(kernel, float))
    reads = replace(sample.pair_of(weights, rows).reads, **changes)
    return Histograms(reads, slice(None), reads.norm, reads.kernels).of(unit)


def bars_of(path):
    """The heights of an outline at each of its bins."""
    assert path.startswith(f"M0 {HEIGHT}")
    level, heights = 0, []
    for step, length in re.findall(r"([vhV])(-?\d+)", path):
        if step == "h":
            heights += [level] * (int(length) // 9)
        level = level - int(length) if step == "v" else HEIGHT - int(length) if step == "V" else level
    assert level == 0
    return heights


def test_a_histogram_is_of_all_connections_by_the_root_of_their_count():
    kernel = np.zeros((1, 25, 1, 1))
    kernel[0, :16] = 0.1
    kernel[0, 16:20] = 0.55
    kernel[0, 20] = 1.0
    found = drawn(kernel)
    heights = bars_of(found.bars)
    assert len(heights) == 24
    assert [heights[2], heights[13], heights[23]] == [HEIGHT, HEIGHT // 2, round(HEIGHT / 4)]
    assert found.caption == "All 21 norms above zero, up to 1.00. Underlined: shown."


def test_the_shown_are_underlined_from_the_smallest_of_them():
    kernel = np.linspace(0.05, 1, 20)[None, :, None, None]
    assert drawn(kernel).marks == f"M{round(WIDTH * 0.85)} {HEIGHT}H{WIDTH}v2H{round(WIDTH * 0.85)}z"
    assert drawn(kernel, rows=20).marks == ""


def test_the_noise_floor_is_drawn_where_kernels_have_positions():
    kernel = np.random.default_rng(0).standard_normal((2, 40, 3, 3)) * 0.01
    kernel[0, 5] = 1.0
    found = drawn(kernel, floor=np.array([1.5, 1.5], np.float32))
    assert found.marks.startswith("M108 0v22M")
    assert found.caption.endswith("Line: noise floor 1.50, 1 above.")
    assert "noise floor" not in drawn(kernel[:, :, :1, :1]).caption
    kernel[:, :, 1:], kernel[:, :, :, 1:] = 0, 0
    assert "noise floor" not in drawn(kernel).caption


def test_a_floor_beyond_every_norm_is_told_and_not_drawn():
    kernel = np.random.default_rng(0).standard_normal((1, 40, 3, 3))
    found = drawn(kernel, floor=np.array([99.0], np.float32))
    assert found.marks.startswith("M") and "v22" not in found.marks
    assert found.caption.endswith(". Noise floor 99.0, none above.")


def test_more_than_those_shown_may_lie_above_the_floor():
    kernel = np.random.default_rng(0).standard_normal((1, 40, 3, 3))
    assert drawn(kernel, floor=np.array([0.01], np.float32)).caption.endswith("4 or more above.")


@pytest.mark.parametrize(
    "kernel",
    [np.zeros((1, 20, 3, 3)), np.full((1, 20, 3, 3), np.nan), np.full((1, 20, 3, 3), np.inf), np.ones((1, FEWEST - 1, 3, 3))],
)
def test_there_is_no_histogram_of_nothing_and_none_of_few(kernel):
    assert drawn(kernel) is None


def test_norms_that_are_not_numbers_are_left_out_of_a_histogram():
    kernel = np.ones((1, 20, 3, 3))
    kernel[0, 3] = np.nan
    assert drawn(kernel).caption.startswith("All 19 norms above zero, up to 3.00.")


def test_facts_without_a_spread_have_no_histogram():
    assert drawn(np.ones((1, 20, 3, 3)), spread=None) is None


# -- many at once ---------------------------------------------------------------------------------------------------------


def test_signs_of_many_connections_are_those_of_each():
    values = np.array([0.0, 1.0, 0.3, 0.2, 4.0, np.inf, np.nan, 0.0, 1e-45], np.float32)
    excitation, inhibition = (one.ravel() for one in np.meshgrid(values, -values))
    words = ("none", "mixed", "excites", "inhibits")
    found = [words[place] for place in signs(excitation, inhibition).tolist()]
    assert found == list(map(sign_word, excitation.tolist(), inhibition.tolist()))
    assert set(found) == set(words)


def drivers_one_by_one(mix):
    """The three inputs with the largest positive, and with the largest negative weights, from an order of all of them."""
    order = np.argsort(mix, kind="stable")
    low, high = order[:DRIVERS], order[::-1][:DRIVERS]
    return high[mix[high] > 0].tolist(), low[mix[low] < 0].tolist()


@pytest.mark.parametrize("inputs", [1, 2, 3, 40])
def test_drivers_of_many_factors_are_those_of_each(inputs):
    mixes = np.random.default_rng(inputs).integers(-3, 4, (30, inputs, 3)).astype(np.float32)  # with many equals
    mixes[3] = 0
    factors = NeuronFactors(None, mixes, None, None, 0.0, "semi-nmf", ())
    units = np.array([0, 3, 7, 29])
    high, low = drivers(factors, units)
    for at, unit in enumerate(units):
        for factor in range(3):
            found = tuple([one for one in side[at][factor] if one >= 0] for side in (high, low))
            assert found == drivers_one_by_one(mixes[unit, :, factor])


def test_a_page_is_the_same_whichever_others_are_made_with_it():
    kernel = np.random.default_rng(0).standard_normal((30, 30, 3, 3))
    kernel[4], kernel[5, 3:], kernel[6, 0, 0, 0] = 0, 0, np.nan
    every = sample.pairs([sample.weights("input", "a", kernel[:, :3]), sample.weights("a", "b", kernel)])
    layers = tuple(sample.facts_of(sample.layer(name, "Conv2d", 30), every) for name in "ab")
    facts = sample.atlas(ModelFacts("m", sample.provenance(), (3, 8, 8), layers))
    whole = NeuronPages(ModelContext(facts, facts.models[0]), 1)
    for unit in (3, 4, 5, 6):
        layers = (facts.models[0].layers[0], replace(facts.models[0].layers[1], chosen=np.array([unit], np.int32)))
        alone = replace(facts, models=(replace(facts.models[0], layers=layers),))
        page, own = whole.page(unit), NeuronPages(ModelContext(alone, alone.models[0]), 1).page(0)
        assert (page.factors, page.facts, page.picture) == (own.factors, own.facts, own.picture)
        assert page.sheet == own.sheet
        assert [table.shown for table in page.reads] == [table.shown for table in own.reads]


def test_a_table_is_made_without_the_kernels_of_the_whole_layer():
    kernel = np.random.default_rng(0).standard_normal((8, 8, 3, 3)).astype(np.float32)
    pair = sample.pair_of(sample.weights("a", "b", kernel), 4)
    layers = [sample.facts_of(sample.layer(name, "Conv2d", 8), [pair]) for name in "ab"]
    unread = replace(pair, weights=replace(pair.weights, kernel=np.full_like(kernel, np.nan)))
    tables = []
    for one in (pair, unread):
        facts = sample.atlas(ModelFacts("m", sample.provenance(), (3, 8, 8), (layers[0], replace(layers[1], reads=(one,)))))
        page = NeuronPages(ModelContext(facts, facts.models[0]), 1).page(2)
        tables.append((page.reads, page.sheet))
    assert tables[0] == tables[1]


# -- rows shared out among many tables -----------------------------------------------------------------------------------


def test_a_table_on_either_side_has_all_the_rows_asked_for():
    assert shares([[0], [0]], 20) == [[20], [20]]
    assert shares([[0], []], 20) == [[20], []]


@pytest.mark.parametrize(("reads", "writes"), [(1, 3), (4, 5), (0, 7), (12, 1), (2, 0)])
@pytest.mark.parametrize("show", [1, 2, 7, 20, 200])
def test_many_tables_share_rows_and_the_nearest_have_most(reads, writes, show):
    found = shares([list(range(reads)), list(range(writes))], show)
    for side in found:
        assert side == sorted(side, reverse=True)
        assert all(min(FEWEST_ROWS, show) <= rows <= show for rows in side)
    whole = sum(map(sum, found))
    assert whole <= max(2 * show, LIGHT, FEWEST_ROWS * (reads + writes) + show)
    if reads + writes > 2 and show > FEWEST_ROWS and (reads + writes) * show > LIGHT:
        assert whole < (reads + writes) * show


def test_few_rows_are_never_shared_out():
    assert shares([[0, 1], [0]], 4) == [[4, 4], [4]]


def test_the_branches_within_a_block_count_as_one_table():
    kernel = np.random.default_rng(0).standard_normal((30, 30, 1, 1))
    every = [sample.pair_of(sample.weights(name, "block", kernel), 20).reads for name in ("below", "block.a", "block.b")]
    assert distances(every) == [0, 1, 1]
    (near, far), writes = shares([[0, 1], [0]], 20)
    assert shares([distances(every), [0]], 20) == [[near, far, far], writes]


def test_a_table_that_was_cut_says_what_it_leaves_out():
    table = sample.pair_of(sample.weights("a", "b", np.random.default_rng(0).standard_normal((5, 30, 3, 3))), 20).reads
    short = cut(table, 6)
    assert short.norm.shape == (5, 6) and short.kernels.shape == (5, 6, 3, 3)
    assert short.left_out == 24 and table.left_out == 10
    assert np.allclose(short.shown, table.share[:, :6].sum(1))
    assert cut(table, 20) is table


def test_a_stream_of_many_layers_stays_within_its_bytes_and_tells_the_truth():
    random = np.random.default_rng(0)
    names = [f"stream.{number}.conv" for number in range(9)]
    every = [
        sample.pair_of(sample.weights(one, other, random.standard_normal((40, 40, 1, 1)).astype(np.float32)), 20)
        for at, one in enumerate(names)
        for other in names[at + 1 :]
    ]
    order = {name: at for at, name in enumerate(names)}
    every.sort(key=lambda pair: order[pair.weights.target] - order[pair.weights.source])
    layers = tuple(sample.facts_of(sample.layer(name, "Conv2d", 40, (1, 1)), every) for name in names)
    site = dict(render_site(sample.atlas(ModelFacts("m", sample.provenance(), (3, 8, 8), layers))))
    page = site["m/stream.4.conv/3.html"].decode()
    tables = Page(page).tables
    assert [len(tables[f"{side}{number}"]) - 1 for side in "rw" for number in range(4)] == [4, 3, 3, 3] * 2
    assert len(page) <= 12 * 1024
    twin = json.loads(site["m/stream.4.conv/layer.json"])
    for side, letter in (("reads", "r"), ("writes", "w")):
        for number, table in enumerate(twin[side]):
            shown = [row[0] for row in tables[f"{letter}{number}"][1:]]
            assert shown == [str(unit) for unit in table["other"][3]]
            assert len(shown) + table["left_out"] == 40
            assert f"The {len(shown)} shown hold {table['shown'][3]:.0%} of the squared weight; {40 - len(shown)} more." in page
