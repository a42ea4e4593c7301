"""The pages of families, and the families and notes on the pages of neurons."""

import base64
import re
import struct
import zlib
from dataclasses import replace
from html import unescape
from posixpath import dirname, join, normpath

import numpy as np
import pytest
import sample_facts as sample

from generator.pages.common import ModelContext
from generator.pages.families import families_page
from generator.pages.family import FIGURES, SHOWN, family_pages
from generator.records import Family, Members, Note
from generator.render import count_files, render_site
from generator.sheets import LEVELS, STRIP_PALETTE

H = sample.HOSTILE
FAMILIES = (
    Family(f"Stems {H}", "stems.html", f"See [[_stem:1]] and [[mixed:3]]. {H}", (Members("small", "_stem", (4, 1, 2)),)),
    Family("Mixed", "mixed.html", "", (Members("small", "_stem", (0,)), Members("small", "mixed", (8, 3, 0, 2)))),
    Family("Broken", "broken.html", "", (Members("small", "mixed", (sample.BROKEN,)),)),
    Family("Dead", "dead.html", "", (Members("small", "mixed", (sample.DEAD,)),)),
    Family("Colours", "colours.html", "", (Members("small", "input", (0, 1, 2)),)),
)
NOTES = (
    Note("small", "mixed", None, "On the layer.", "n"),
    Note("small", "mixed", 4, f"Reads [[_stem:1]], is in [[mixed:0]] {H}.", "n"),
)


def facts(families=FAMILIES, notes=NOTES):
    return replace(sample.sample_atlas(), families=families, notes=notes)


@pytest.fixture(scope="module")
def site():
    return dict(render_site(facts()))


@pytest.fixture(scope="module")
def pages(site):
    return {path: content.decode() for path, content in site.items() if path.startswith("families/")}


def records(atlas):
    contexts = [ModelContext(atlas, model) for model in atlas.models]
    return dict(family_pages(atlas, contexts))


def rows(page, there, reading=True, families=False):
    """Name, positive and negative of every row of one table."""
    tables = [table for group in page.flows for table in (group.reads if reading else group.writes) if table.address == there]
    (table,) = tables
    found = table.families if families else table.neurons
    return [(re.search(r">([^<>]*?)(?: <small>.*)?</\w+>$", str(row.lead))[1], row.positive, row.negative) for row in found]


def pair(source, target):
    return next(
        one for one in sample.pairs(sample.sample_weights()) if (one.weights.source, one.weights.target) == (source, target)
    )


def test_every_family_has_a_page_and_all_are_on_the_list(site, pages):
    assert sorted(pages) == sorted(["families/index.html", *(f"families/{one.file}" for one in FAMILIES)])
    assert re.findall(r'<h2><a href="(.*?)">', pages["families/index.html"]) == [one.file for one in FAMILIES]
    assert len(site) == count_files(facts())


def test_an_atlas_without_families_has_no_page_on_them():
    files = dict(render_site(facts((), ())))
    assert not any(path.startswith("families/") for path in files)
    assert len(files) == count_files(facts((), ()))
    assert b"families/index.html" not in files["index.html"]


def test_every_link_of_a_family_page_leads_to_a_file(site, pages):
    for path, text in pages.items():
        links = re.findall(r'(?:href|src)="?([^">\s]+)', text)
        links += re.findall(r'url\("(?!data:)(.*?)"\)', text)
        assert links
        for target in links:
            file = normpath(join(dirname(path), unescape(target).partition("#")[0])) if target[0] != "#" else path
            assert file in site, (path, target)


def test_members_stand_in_the_order_in_which_they_are_named_with_links_where_they_have_a_page(pages):
    grid = re.search(r'<p class="grid g0s2">(.*?)</p>', pages["families/mixed.html"], re.S)[1]
    assert re.findall(r'(<a href="[^"]*"|<span)[^>]*>(\d+)<', grid) == [
        ('<a href="../small/mixed/8.html"', "8"),
        ("<span", "3"),
        ('<a href="../small/mixed/0.html"', "0"),
        ('<a href="../small/mixed/2.html"', "2"),
    ]


def test_a_group_reads_what_its_members_read_added_up():
    page = records(facts())["families/mixed.html"]
    weights = pair("_stem", "mixed").weights
    kernel = weights.kernel[[8, 3, 0, 2]].astype(float) * weights.source_scale.astype(float)[None, :, None, None]
    positive = [sum(weight**2 for weight in kernel[:, one].ravel() if weight > 0) for one in range(6)]
    negative = [sum(weight**2 for weight in kernel[:, one].ravel() if weight < 0) for one in range(6)]
    whole = sum(positive) + sum(negative)
    order = sorted(range(6), key=lambda one: -(positive[one] + negative[one]))
    wanted = [(str(one), f"{100 * positive[one] / whole:.1f}", f"{100 * negative[one] / whole:.1f}") for one in order]
    assert rows(page, "_stem") == wanted
    stems = [f"{100 * sum(part[one] for one in (4, 1, 2)) / whole:.1f}" for part in (positive, negative)]
    assert [row[1:] for row in rows(page, "_stem", families=True) if row[0] != "Mixed"] == [tuple(stems)]


def test_a_group_writes_to_what_reads_it():
    page = records(facts())["families/stems.html"]
    weights = pair("_stem", "mixed").weights
    kernel = weights.kernel[:, [4, 1, 2]].astype(float) * weights.source_scale.astype(float)[[4, 1, 2], None, None]
    kernel[sample.BROKEN] = 0
    found = rows(page, "mixed", reading=False)
    assert found[0][0] == str(sample.BROKEN)  # what is not a number stands first, so that it is seen
    assert [row[0] for row in found[1:]] == [
        str(one) for one in np.argsort(-np.square(kernel).sum((1, 2, 3))) if one not in (5, 6)
    ][: len(found) - 1]


def test_bars_are_as_long_as_the_numbers_say():
    page = records(facts())["families/mixed.html"]
    (table,) = (page.flows[1].reads[0].neurons,)
    longest = max(float(row.positive) + float(row.negative) for row in table)
    for row in table:
        assert row.red == pytest.approx(100 * float(row.positive) / longest, abs=1.5)
        assert row.blue == pytest.approx(100 * float(row.negative) / longest, abs=1.5)
    assert table[0].red + table[0].blue == pytest.approx(100, abs=1)


def unpacked(uri):
    """The pixels of an inlined PNG with a palette, as RGB `[row, col, RGB]`."""
    data = base64.b64decode(uri.partition(",")[2])
    chunks, at = {}, 8
    while at < len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        chunks.setdefault(data[at + 4 : at + 8], data[at + 8 : at + 8 + size])
        at += size + 12
    width, height, depth = struct.unpack(">IIB", chunks[b"IHDR"][:9])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not lines[:, 0].any()
    indices = np.unpackbits(lines[:, 1:], axis=1) if depth == 1 else lines[:, 1:]
    indices = (
        indices
        if depth in (1, 8)
        else np.stack([lines[:, 1:] >> shift & (1 << depth) - 1 for shift in range(8 - depth, -1, -depth)], -1)
    )
    palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    return palette[indices.reshape(height, -1)[:, :width]]


def test_a_figure_shows_the_kernels_of_its_rows_and_columns(pages):
    text = pages["families/mixed.html"]
    page = records(facts())["families/mixed.html"]
    figure = next(one for one in page.figures if one.source.href == "stems.html")
    assert [re.search(r">(\d+)<", str(row.head))[1] for row in figure.multiples.rows] == ["8", "3", "0", "2"]
    assert [re.search(r">(\d+)<", str(head))[1] for head in figure.multiples.columns] == ["4", "1", "2"]
    weights = pair("_stem", "mixed").weights
    kernels = weights.kernel[np.ix_([8, 3, 0, 2], [4, 1, 2])] * weights.source_scale[[4, 1, 2], None, None]
    limit = np.abs(kernels).max()
    uri = re.search(rf'#{figure.multiples.name} td>\*{{background-image:url\("(.*?)"\)', text)[1]
    pixels = unpacked(uri)
    for place, kernel in enumerate(kernels.reshape(-1, 3, 3)):
        wanted = STRIP_PALETTE[np.rint(kernel / limit * LEVELS).astype(int) + LEVELS]
        np.testing.assert_array_equal(pixels[:, 4 * place : 4 * place + 3], wanted)


def test_each_cell_of_a_figure_leads_to_the_neuron_that_reads_and_its_heads_to_both():
    page = records(facts())["families/mixed.html"]
    shown = next(one for one in page.figures if one.source.href == "stems.html").multiples
    assert all('href="../small/~_stem/' in str(head) for head in shown.columns)
    assert 'href="../small/mixed/8.html"' in str(shown.rows[0].head)
    for place, cell in enumerate(shown.rows[0].cells):
        assert re.fullmatch(
            rf'<a href=../small/mixed/8.html style=--k:{place} title="8 reads \d+, norm .*" tabindex=-1>[124]</a>',
            str(cell),
        )
    assert str(shown.rows[1].cells[0]).startswith("<span style=--k:3 ")  # without a page


def test_a_figure_of_large_families_shows_the_strongest_in_their_order():
    random = np.random.default_rng(3)
    kernel = random.standard_normal((20, 30, 1, 1))
    kernel[:8] *= 0.01
    every = sample.pairs([sample.weights("a", "b", kernel)], scaled=False)
    model = replace(
        sample.sample_model(),
        layers=(
            sample.facts_of(sample.layer("a", "Conv2d", 30), every),
            sample.facts_of(sample.layer("b", "Conv2d", 20), every),
        ),
    )
    order = tuple(reversed(range(20)))
    families = (
        Family("A", "a.html", "", (Members("small", "a", tuple(range(30))),)),
        Family("B", "b.html", "", (Members("small", "b", order),)),
    )
    page = records(replace(sample.atlas(model), families=families))["families/b.html"]
    (figure,) = page.figures
    shown = [int(re.search(r">(\d+)<", str(row.head))[1]) for row in figure.multiples.rows]
    assert shown == list(range(19, 7, -1))
    assert len(figure.multiples.columns) == SHOWN
    assert figure.left_out == "Shown are the strongest: 12 of 20 rows and 12 of 30 columns."
    assert figure.share == "They hold 100% of the squared weight with which the rows read a."


def test_a_page_has_few_figures_the_strongest_first():
    many = [Family(f"S{at}", f"s{at}.html", "", (Members("small", "_stem", (at % 6,)),)) for at in range(12)]
    mixed = Family("M", "m.html", "", (Members("small", "mixed", (0, 1)),))
    page = records(facts((mixed, *many), ()))["families/m.html"]
    assert len(page.figures) == FIGURES
    shares = [int(re.search(r"(\d+)%", figure.share)[1]) for figure in page.figures]
    assert shares == sorted(shares, reverse=True)


def test_a_figure_of_a_family_with_itself_stands_once():
    page = records(facts())["families/mixed.html"]
    assert [(one.reader.name, one.source.name) for one in page.figures].count(("Mixed", "Mixed")) == 1


def test_members_without_weights_and_with_broken_ones_have_pages(pages):
    dead = records(facts())["families/dead.html"]
    assert [table.address for table in dead.flows[0].reads] == ["input"]  # nothing of _stem, whose weights are all zero
    assert "NaN" in pages["families/broken.html"]
    assert "Its members read no layer of this atlas." in pages["families/colours.html"]


def test_names_and_notes_are_shown_as_they_stand(site):
    assert not [path for path, content in site.items() if path.endswith(".html") and b"<b>&" in content]
    text = site["families/stems.html"].decode()
    assert "<h1>Stems &lt;b&gt;&amp;" in text
    assert '<a href="../small/mixed/index.html#u3">mixed:3</a>' in text


def test_families_and_notes_stand_on_the_pages_of_their_neurons(site):
    page = site["small/mixed/8.html"].decode()
    assert '<a href="../../families/mixed.html">Mixed</a>' in page
    noted = site["small/mixed/4.html"].decode()
    assert (
        'Reads <a href="../../small/~_stem/1.html">_stem:1</a>, is in <a href="../../small/mixed/0.html">mixed:0</a>' in noted
    )
    assert "On the layer." in site["small/mixed/index.html"].decode()


def test_rows_name_the_families_of_the_neuron_at_the_other_end(site):
    page = site["small/mixed/8.html"].decode()
    assert re.search(r">[124] <small>Stems &lt;b&gt;.*?</small></a>", page)


def test_a_row_names_two_families_and_tells_that_there_are_more():
    many = tuple(Family(f"F{at}", f"f{at}.html", "", (Members("small", "_stem", (4,)),)) for at in range(3))
    (context,) = [ModelContext(facts(many, ()), model) for model in facts(many, ()).models]
    assert str(context.views["_stem"].named[4]) == "4 <small>F0, F1, …</small></a>"
    assert str(context.views["_stem"].tails[4]) == "4</a>"
    assert [link.name for link in context.families_of("_stem", 4)] == ["F0", "F1", "F2"]
    assert context.families_of("_stem", 0) == ()
    assert context.note_on("mixed") == ""


def test_several_models_are_told_apart():
    one, two = sample.sample_model("one"), sample.sample_model("two")
    both = Family("Both", "both.html", "[[two/mixed:0]]", (Members("one", "_stem", (1,)), Members("two", "_stem", (2,))))
    atlas = replace(sample.atlas(one, two), families=(both,))
    page = records(atlas)["families/both.html"]
    assert [group.link for group in page.members] == [
        ("../one/~_stem/index.html", "one/_stem"),
        ("../two/~_stem/index.html", "two/_stem"),
    ]
    assert len({group.css for group in page.members}) == 2
    assert (
        families_page(atlas, [ModelContext(atlas, model) for model in atlas.models]).families[0].summary
        == "2 neurons of one/_stem and two/_stem"
    )


def test_the_same_facts_give_the_same_bytes(site):
    assert dict(render_site(facts())) == site
