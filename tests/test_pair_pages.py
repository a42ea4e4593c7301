import base64
import re
from dataclasses import replace
from posixpath import dirname, join, normpath

import numpy as np
import pytest
import sample_facts as sample
from PIL import Image

from generator.analyses.connections import strengths_and_leans
from generator.analyses.matrix import binned, by_sign, strongest
from generator.analyses.tables import pair_of
from generator.pages.pair import BYTES, COUNT, matrix_png
from generator.pictures import signed_colours
from generator.records import Family, Members, ModelFacts, Statistics
from generator.render import count_files, render_site


def site_of(weights, *, families=(), statistics=None, **more):
    """The site of two layers and their weights."""
    units, inputs = weights.kernel.shape[:2]
    pair = pair_of(weights, 4)
    source = sample.facts_of(sample.layer("a", "Conv2d", inputs), [pair])
    target = sample.facts_of(sample.layer("b", "Conv2d", units), [pair], statistics=statistics, **more)
    facts = sample.atlas(ModelFacts("m", sample.provenance(), (3, 8, 8), (source, target)))
    return dict(render_site(replace(facts, families=tuple(families), scaled_by_source=False)))


def random_weights(units, inputs, size=3):
    random = np.random.default_rng(units + inputs)
    return sample.weights("a", "b", random.standard_normal((units, inputs, size, size)) / size)


def pixels(content, tmp_path):
    (tmp_path / "one.png").write_bytes(content)
    return np.asarray(Image.open(tmp_path / "one.png").convert("RGB"))


def cells(page):
    return re.findall(r'<a href=(\S+) style=--k:(\d+) title="([^"]*)" tabindex=-1>\d+</a>', page)


def test_the_numbers_of_the_matrix_are_those_of_the_kernels():
    weights = random_weights(7, 5)
    norms, leans = strengths_and_leans(weights.kernel)
    for unit in range(7):
        for source in range(5):
            kernel = weights.kernel[unit, source].astype(np.float64)
            assert norms[unit, source] == pytest.approx(np.linalg.norm(kernel), rel=1e-5)
            assert leans[unit, source] == pytest.approx(kernel.sum() / np.abs(kernel).sum(), rel=1e-5)


def test_norms_are_scaled_by_the_source_where_the_tables_are():
    weights = sample.weights("a", "b", np.ones((2, 3, 3, 3)), scale=True)
    assert np.allclose(strengths_and_leans(weights.kernel, weights.source_scale)[0], 3 * weights.source_scale)


def test_the_lean_of_odd_kernels():
    kernel = np.zeros((1, 5, 1, 2), np.float32)
    kernel[0, 1:] = [[[2, 3]], [[-1, 0]], [[1, -1]], [[np.nan, 1]]]
    assert np.array_equal(strengths_and_leans(kernel)[1][0], [0, 1, -1, 0, np.nan], equal_nan=True)


def test_signs_are_counted_by_the_rule_of_the_tables():
    kernel = np.array([[[[8, -2]], [[-8, 2]], [[7, -3]], [[0, 0]]]], np.float32)
    assert by_sign(*strengths_and_leans(kernel)) == (1, 1, 1)


def test_the_picture_is_the_matrix_in_its_order(tmp_path):
    weights = random_weights(6, 4)
    place = np.array([3, 1, 0, 5, 4, 2], np.int32)
    flat = np.zeros(6, np.float32)
    statistics = Statistics(flat, flat, flat, flat, None, None, np.zeros((6, 0), np.int32), np.zeros((6, 0), np.float32), place)
    drawn = pixels(site_of(weights, statistics=statistics)["m/b/from-a.png"], tmp_path)
    norms, leans = strengths_and_leans(weights.kernel)
    signed = norms * leans
    columns = np.argsort(-np.square(norms, dtype=np.float64).sum(0), kind="stable")  # of the source no order is known
    ordered = signed[np.argsort(place)][:, columns]
    limit = np.quantile(np.abs(signed), 0.99)
    expected = signed_colours(np.rint(np.clip(ordered / limit, -1, 1) * 15) / 15, 1.0)
    assert np.array_equal(drawn, expected)


def test_a_bin_shows_its_largest_magnitude():
    values = np.array([[1.0, -3, 2], [0, 2, -1], [4, 0, np.nan]])
    assert np.array_equal(binned(values, 2, 2), [[-3, 2], [4, np.nan]], equal_nan=True)
    assert np.array_equal(binned(values, 1, 1), values, equal_nan=True)


def test_a_huge_matrix_is_a_small_picture(tmp_path):
    signed = np.random.default_rng(1).standard_normal((2048, 2048))
    content = matrix_png(signed, 2.5, (4, 4))
    assert len(content) <= BYTES
    assert pixels(content, tmp_path).shape == (512, 512, 3)


@pytest.mark.parametrize(("size", "file"), [((6, 300), (240, 300)), ((300, 6), (300, 240)), ((40, 60), (120, 120))])
def test_the_file_has_the_proportions_in_which_the_page_shows_it(size, file, tmp_path):
    signed = np.random.default_rng(1).uniform(-1, 1, size)
    drawn = pixels(matrix_png(signed, 1.0, (1, 1)), tmp_path)
    assert drawn.shape[:2] == file
    high, wide = np.array(file) // size
    assert np.array_equal(drawn, drawn[::high, ::wide].repeat(high, 0).repeat(wide, 1))


@pytest.mark.parametrize("size", [(512, 512), (1, 1)])
def test_a_picture_is_made_whatever_the_values(size):
    for value in (0.0, np.nan, np.inf, 1e30):
        assert matrix_png(np.full(size, value), 0.0 if value == 0 else 1.0, (1, 1)).startswith(b"\x89PNG")
    noise = np.random.default_rng(2).uniform(-1, 1, size)
    assert len(matrix_png(noise, 1.0, (1, 1))) <= BYTES


def test_planted_rows_and_columns_come_back():
    square = np.random.default_rng(3).random((60, 50))
    square[np.ix_([3, 40, 59], [7, 8])] += 30
    rows, cols = strongest(square, np.arange(60), np.arange(50), 3)
    assert rows.tolist() == [3, 40, 59]
    assert {7, 8} <= set(cols.tolist()) and len(cols) == 3


def test_only_what_may_be_shown_is_chosen_and_nothing_of_zeros():
    square = np.zeros((4, 4))
    square[0, 0], square[2, 3], square[3, 3] = 9, 1, np.inf
    rows, cols = strongest(square, np.array([1, 2, 3]), np.array([2, 3]), 2)
    assert (rows.tolist(), cols.tolist()) == ([2], [3])
    assert strongest(np.zeros((4, 4)), np.arange(4), np.arange(4), 2)[0].size == 0
    assert strongest(square, np.array([], int), np.arange(4), 2)[1].size == 0


def test_cells_are_the_strongest_kernels_and_lead_to_pages():
    weights = random_weights(40, 30)
    site = site_of(weights, chosen=np.arange(0, 40, 2, dtype=np.int32))
    page = site["m/b/from-a.html"].decode()
    found = cells(page)
    assert len(found) == 20 * COUNT
    assert [int(place) for _, place, _ in found] == list(range(len(found)))
    for href, _, title in found:
        unit = re.match(r"(\d+) reads \d+, norm ", title)[1]
        assert normpath(join("m/b", href)) == f"m/b/{unit}.html"
        assert f"m/b/{unit}.html" in site
    heads = set(re.findall(r'<th><a href="\.\./a/(\d+)\.html"', page))
    assert heads == {re.search(r"reads (\d+)", title)[1] for _, _, title in found}


def test_every_pair_has_a_page_whose_references_resolve():
    facts = sample.sample_atlas()
    site = dict(render_site(facts))
    assert len(site) == count_files(facts)
    pairs = {path for path in site if re.search(r"/from-[^/]*\.html$", path)}
    assert pairs == {
        "small/~_stem/from-input.html",
        "small/mixed/from-~_stem.html",
        "small/mixed/from-input.html",
        "small/head/from-mixed.html",
    }
    for path in pairs:
        for link in re.findall(r'(?:href|src)="([^"#:]+)["#]', site[path].decode()):
            assert normpath(join(dirname(path), link)) in site, (path, link)
    linked = set(re.findall(r'href="([^"]*from-[^"]*)"', site["small/index.html"].decode()))
    assert {f"small/{link}" for link in linked} == pairs


def test_pages_of_pairs_follow_each_other():
    site = dict(render_site(sample.sample_atlas()))
    page, seen = "small/~_stem/from-input.html", []
    while page:
        seen.append(page)
        following = re.search(r'rel=next href="([^"]+)"', site[page].decode())
        page = normpath(join(dirname(page), following[1])) if following else None
    assert len(seen) == 4


def test_families_with_families_come_strongest_first_and_are_limited():
    kernel = np.full((6, 6, 1, 1), 0.1, np.float32)
    kernel[4:, 4:] = 2.0
    members = [(Members("m", layer, units),) for layer in "ba" for units in ((0, 1), (2, 3), (4, 5))]
    families = [Family(f"{at}", f"{at}.html", "", one) for at, one in enumerate(members)]
    page = site_of(sample.weights("a", "b", kernel), families=families)["m/b/from-a.html"].decode()
    shown = re.findall(r'<h3><a href="../../families/(\d).html">\d</a> reading <a href="../../families/(\d).html">', page)
    assert shown[0] == ("2", "5")
    assert len(shown) == 3 and "6 more pairs of families" in page


def test_a_pair_without_weights_or_without_pages_still_has_its_page():
    for weights, more in (
        (sample.weights("a", "b", np.zeros((3, 3, 3, 3))), {}),
        (random_weights(3, 3), {"chosen": np.zeros(0, np.int32)}),
        (sample.weights("a", "b", np.full((3, 3, 1, 1), np.nan)), {}),
    ):
        site = site_of(weights, **more)
        assert "No two neurons with pages have a weight here." in site["m/b/from-a.html"].decode()
        assert site["m/b/from-a.png"].startswith(b"\x89PNG")


def test_a_page_stays_small_and_its_kernels_stand_in_it():
    page = site_of(random_weights(256, 256, 5))["m/b/from-a.html"]
    assert len(cells(page.decode())) == COUNT * COUNT
    assert len(page) < 110_000
    strip = re.search(rb'#k td>\*\{background-image:url\("data:image/png;base64,([^"]+)"', page)[1]
    assert base64.b64decode(strip).startswith(b"\x89PNG")


def test_a_layer_outside_the_atlas_is_named_without_a_link():
    pair = pair_of(random_weights(3, 3), 4)
    facts = sample.atlas(
        ModelFacts("m", sample.provenance(), (3, 8, 8), (sample.facts_of(sample.layer("b", "Conv2d", 3), [pair]),))
    )
    site = dict(render_site(facts))
    page = site["m/b/from-a.html"].decode()
    assert "../a/" not in page
    assert re.search(r"<h1>a\s*<span>→</span>\s*<a ", page)
