import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from posixpath import dirname, join, normpath

import numpy as np
import pytest
import sample_facts as sample

from generator.addresses import folder
from generator.look import beside
from generator.pages import wording
from generator.records import Branch, Faces, ModelFacts
from generator.render import count_files, render_site

VOID = {"meta", "link", "img", "br", "mspace", "input", "hr"}
CELLS, TERMS, TEXT = ("td", "th", "tr"), ("dt", "dd"), ("p",)
IMPLIED = {"td": CELLS[:2], "th": CELLS[:2], "tr": CELLS, "tbody": (*CELLS, "thead"), "dt": TERMS, "dd": TERMS}
IMPLIED |= dict.fromkeys(("p", "div", "section", "details", "table", "h2", "h3"), TEXT)
IMPLIED_AT_END = {
    "tr": CELLS[:2],
    "tbody": CELLS,
    "thead": CELLS,
    "table": (*CELLS, "thead", "tbody"),
    "dl": TERMS,
    "div": (*TERMS, *TEXT),
    "section": TEXT,
    "footer": TEXT,
}


class Page(HTMLParser):
    """What the tests ask of a page: ids, references, headings, rows of tables, and that elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.images, self.headings, self.open, self.text = [], [], [], Counter(), [], []
        self.tables, self.labelled = {}, True
        self.feed(text)
        assert not self.open, self.open

    def close_implied(self, tags):
        """The ends that HTML lets the parts of a table and the terms of a list leave out."""
        while self.open and self.open[-1] in tags:
            self.open.pop()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.close_implied(IMPLIED.get(tag, ()))
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("href", "src") if name in given]
        self.headings[tag] += 1
        if tag == "img":
            self.images.append(given)
        if tag == "table":
            self.table = self.tables.setdefault(given.get("id"), [])
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th"):
            self.table[-1].append("")
        if tag == "th":
            assert given.get("scope", "row") in ("row", "col")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.close_implied(IMPLIED_AT_END.get(tag, ()))
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_data(self, data):
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.table[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def site():
    return dict(render_site(sample.sample_atlas()))


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(content.decode()) for path, content in site.items() if path.endswith(".html")}


def said(page):
    return re.sub(r"\s+", " ", "".join(page.text))


def render_layer(faces=None, neurons=3, every=(), **more):
    one = sample.layer("only", "Conv2d", neurons)
    facts = sample.facts_of(one, list(every), faces, **more)
    model = ModelFacts("one", sample.provenance(), (3, 8, 8), (facts,))
    return dict(render_site(sample.atlas(model)))


def plain_faces(kind, pixels, notes=None):
    return Faces(kind, pixels, (), "", "", None, None, None, notes or ("",) * len(pixels))


def test_every_internal_link_and_anchor_resolves(site, pages):
    for path, page in pages.items():
        for link in page.links:
            if link.startswith(("data:", "https://doi.org/", "https://colorbrewer2.org/", "https://www.jmlr.org/")):
                continue
            target, _, mark = link.partition("#")
            there = normpath(join(dirname(path), target)) if target else path
            assert there in site, (path, link)
            assert not mark or mark in pages[there].ids, (path, link)


def test_every_sprite_named_in_a_style_is_there(site, pages):
    named = 0
    for path in pages:
        for address in re.findall(r'url\("([^"]+)"\)', site[path].decode()):
            if not address.startswith("data:"):
                named += 1
                assert normpath(join(dirname(path), address)) in site
    assert named


def test_a_page_loads_nothing_from_elsewhere(site, pages):
    for path in pages:
        loaded = re.findall(r'(?:src="|url\("?|stylesheet" href=")([^")]+)', site[path].decode())
        assert not [one for one in loaded if re.match(r"(?!data:)\w+:|//", one)]


def test_every_page_has_one_heading_of_the_first_rank_and_one_main(pages):
    for path, page in pages.items():
        assert page.headings["h1"] == page.headings["main"] == 1, path
        assert len(page.ids) == len(set(page.ids)), path


def test_every_picture_has_a_size_and_a_text(pages):
    images = [image for page in pages.values() for image in page.images]
    assert images
    assert all(image["alt"] and int(image["width"]) and int(image["height"]) for image in images)


def test_directories_are_never_linked_to(pages):
    links = [link for page in pages.values() for link in page.links if not link.startswith("https:")]
    assert not [link for link in links if link.partition("#")[0].endswith(("/", "."))]


def test_the_same_facts_give_the_same_bytes(site):
    assert dict(render_site(sample.sample_atlas())) == site


def test_as_many_files_come_as_were_counted(site):
    assert len(site) == count_files(sample.sample_atlas())


def test_markup_in_names_is_shown_as_it_stands(site, pages):
    for path in pages:
        assert sample.HOSTILE not in site[path].decode(), path
    assert sample.HOSTILE in said(pages["index.html"])
    assert sample.HOSTILE in said(pages["small/head/6.html"])
    assert sample.HOSTILE in said(pages["small/index.html"])


def test_no_template_trusts_its_values():
    for path in beside("templates").iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape", text), path
        assert len(text.splitlines()) < 160


def test_no_name_begins_with_a_dot_or_an_underscore(site):
    assert [path for path in site if re.search(r"(^|/)[._]", path)] == [".nojekyll"]  # which GitHub Pages itself asks for
    assert "small/~_stem/0.html" in site


@pytest.mark.parametrize(
    ("name", "safe"), [("layer1.0.conv1", "layer1.0.conv1"), ("_a", "~_a"), (".a", "~.a"), ("a b/c", "a~20~b~2f~c")]
)
def test_names_are_kept_but_for_what_hosts_refuse(name, safe):
    assert folder(name) == safe


def test_different_names_never_share_a_folder():
    names = ["_a", "~_a", "~a", "a b", "a~20~b", "a/b", "a.", "a", "é", "~e9~", "A", ".", "..", "%41"]
    assert len({folder(name) for name in names}) == len(names)


def test_an_alias_leads_to_the_one_page(site, pages):
    alias = site["small/mixed._b/1.html"].decode()
    assert pages["small/mixed._b/1.html"].links.count("../mixed/5.html") == 2  # canonical and visible
    assert 'content="0; url=../mixed/5.html"' in alias
    assert "also mixed._b:1" in said(pages["small/mixed/5.html"])
    assert "../mixed/index.html#u4" in pages["small/mixed._b/index.html"].links


def test_neurons_without_a_page_have_no_alias_and_no_link(site, pages):
    assert "small/mixed/3.html" not in site
    assert "small/mixed.a/3.html" not in site
    assert "3.html" not in pages["small/mixed/index.html"].links
    assert "u3" in pages["small/mixed/index.html"].ids


def test_a_branch_that_is_a_layer_of_the_atlas_keeps_its_own_pages():
    every = sample.pairs(sample.sample_weights())
    joined = sample.facts_of(sample.layer("mixed", "concat", 12, branches=(Branch("_stem", 0, 6),)), every)
    layers = (sample.facts_of(sample.layer("_stem", "Conv2d", 6), every), joined)
    site = dict(render_site(sample.atlas(ModelFacts("m", sample.provenance(), (3, 8, 8), layers))))
    assert b"refresh" not in site["m/~_stem/0.html"]


def test_an_alias_names_the_absolute_page_where_the_site_is_known():
    site = dict(render_site(sample.atlas(sample.sample_model(), site_url="https://example.org/atlas/")))
    canonical = '<link rel="canonical" href="https://example.org/atlas/small/mixed/5.html">'
    assert canonical in site["small/mixed/5.html"].decode()
    assert canonical in site["small/mixed._b/1.html"].decode()


def test_the_twin_holds_the_numbers_of_the_pages(site, pages):
    shown = 0
    for path in [path for path in site if path.endswith("layer.json")]:
        twin = json.loads(site[path])
        for at, unit in enumerate(twin["units"]):
            page = pages[f"{dirname(path)}/{unit}.html"]
            for letter, tables in (("r", twin["reads"]), ("w", twin["writes"])):
                for number, table in enumerate(tables):
                    rows = page.tables.get(f"{letter}{number}", [[]])[1:]
                    kept = [rank for rank, norm in enumerate(table["norm"][at]) if norm != 0]
                    assert [int(row[0].split()[0]) for row in rows] == [table["other"][at][rank] for rank in kept]
                    for row, rank in zip(rows, kept, strict=True):
                        shown += 1
                        assert_same(row[1], table["norm"][at][rank])
                        share = table["share"][at][rank]
                        assert_same(row[2].strip("<%"), None if share is None else 100 * share)
    assert shown > 100


def assert_same(cell, number):
    if number is None:
        assert cell in ("nan", "inf", "NaN")
    else:
        assert float(cell) == pytest.approx(number, abs=0.6 * 10.0 ** -len(cell.partition(".")[2]))


def test_the_twin_is_strict_json_with_null_for_what_is_not_a_number(site):
    twin = json.loads(site["small/mixed/layer.json"], parse_constant=lambda name: pytest.fail(name))
    assert twin["reads"][0]["norm"][twin["units"].index(sample.BROKEN)][0] is None


def test_a_connection_reads_the_same_from_both_ends(site):
    stem, mixed = (json.loads(site[f"small/{name}/layer.json"]) for name in ("~_stem", "mixed"))
    reads, writes, found = mixed["reads"][0], stem["writes"][0], 0
    for at, target in enumerate(mixed["units"]):
        for rank, source in enumerate(reads["other"][at]):
            back = stem["units"].index(source)
            if target in writes["other"][back]:
                place = writes["other"][back].index(target)
                found += 1
                for name in ("norm", "excitation", "inhibition"):
                    assert reads[name][at][rank] == writes[name][back][place]
    assert found > 5


def test_a_table_says_what_it_leaves_out(pages):
    text = said(pages["small/mixed/0.html"])
    assert re.search(r"The 4 shown hold \d+% of the squared weight; 2 more\.", text)
    assert "Expanded through _stem." in text
    assert "On the way: MaxPool2d 3x3 taken as average pool 3x3." in text
    assert re.search(r"blue −0\.\d+ to red 0\.\d+", text)


def test_a_table_leaves_out_connections_that_are_exactly_zero(pages):
    assert len(pages["small/mixed/2.html"].tables["r0"]) == 1 + 3
    assert "all of the squared weight; the other 3 are exactly zero" in said(pages["small/mixed/2.html"])


def test_a_dead_neuron_says_so_and_has_no_rows(pages):
    page = pages[f"small/mixed/{sample.DEAD}.html"]
    assert "r0" not in page.tables
    assert "Every one of its connections here is exactly zero." in said(page)
    assert "All its weights are zero" in said(page)


def test_a_neuron_with_weights_that_are_not_numbers_says_so(pages):
    text = said(pages[f"small/mixed/{sample.BROKEN}.html"])
    assert "NaN" in text
    assert "factors explain" not in text


def test_what_a_picture_explains_stands_beside_its_bound_and_noise(pages):
    text = said(pages["small/mixed/0.html"])
    assert re.search(
        r"Three factors explain \d+% of its squared weight \(best possible \d+%; noise of the same shape \d+%\)\.", text
    )


def test_a_classifier_shows_its_labels_everywhere(pages):
    assert "label 2" in said(pages["small/head/2.html"])
    rows = pages["small/mixed/0.html"].tables["w0"][1:]
    assert rows
    assert all("label" in row[0] or sample.HOSTILE in row[0] for row in rows)


def test_bars_name_their_inputs(pages):
    bars = pages["small/head/0.html"].tables[None][1:]
    assert len(bars) == 5
    assert all(re.fullmatch(r"\d+", row[0]) for row in bars)


def test_a_neighbour_that_was_refused_is_named_on_the_layer_and_its_neurons(pages):
    for path in ("small/head/index.html", "small/head/0.html"):
        assert f"tail: refused {sample.HOSTILE}" in said(pages[path])


def test_neurons_lead_to_their_neighbours_and_their_place_in_the_grid(pages):
    links = pages["small/mixed/4.html"].links
    assert {"2.html", "5.html", "index.html#u4"} <= set(links)


def test_provenance_stands_on_every_page_of_a_model(pages):
    for path, page in pages.items():
        if path.startswith("small/") and "The same as" not in said(page):
            assert f"{sample.provenance().source} · {sample.provenance().weights} · torch" in said(page), path


def test_the_digest_of_the_weights_stands_on_the_models_own_page_alone(pages):
    """So that a layer's change leaves the pages of others as they are."""
    digest = sample.provenance().sha256
    assert [path for path, page in pages.items() if digest in said(page)] == ["small/index.html"]


def test_a_lone_layer_without_neighbours_has_pages():
    site = render_layer()
    text = said(Page(site["one/only/1.html"].decode()))
    assert "It reads no layer of this atlas." in text
    assert "It writes to no layer of this atlas." in text
    assert "one/only/faces.png" not in site


def test_a_layer_of_one_neuron_has_pages():
    site = render_layer(plain_faces("signed", np.zeros((1, 1, 1, 3), np.uint8)), neurons=1)
    assert {"one/only/0.html", "one/only/faces.png"} <= set(site)


def test_a_layer_none_of_whose_neurons_is_chosen_still_has_its_page():
    site = render_layer(chosen=np.zeros(0, np.int32))
    assert "one/only/index.html" in site
    assert json.loads(site["one/only/layer.json"])["units"] == []


def test_a_large_face_is_shrunk_and_never_widens_a_row():
    site = render_layer(plain_faces("rgb", np.zeros((3, 224, 224, 3), np.uint8)))
    assert "--s:0.321" in site["one/only/index.html"].decode()
    assert "width=224" in site["one/only/0.html"].decode()


def test_a_layer_outside_the_atlas_is_named_without_a_link():
    every = sample.pairs([sample.weights("hidden", "only", np.ones((3, 2, 3, 3)))])
    site = render_layer(every=every)
    page = Page(site["one/only/0.html"].decode())
    assert "hidden" in said(page)
    assert [link for link in page.links if "hidden" in link] == ["../only/from-hidden.html"]
    assert "one/only/from-hidden.html" in site


def test_an_atlas_without_models_has_its_first_page():
    assert b"A sample" in dict(render_site(sample.atlas()))["index.html"]


def test_two_models_keep_apart():
    site = dict(render_site(sample.atlas(sample.sample_model("a"), sample.sample_model("b"))))
    assert site["a/mixed/0.html"] != site["b/mixed/0.html"]
    assert {"a/mixed/0.html", "b/mixed/0.html"} <= set(site)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.634, "63%"), (1.0, "100%"), (0.99999, "more than 99.9%"), (0.995, "99.5%"), (0.0004, "less than 0.1%"), (0.0, "0%")],
)
def test_shares_are_never_rounded_to_all_or_nothing(share, words):
    assert wording.percent(share) == words


def test_an_unknown_share_is_said_to_be_unknown():
    assert wording.percent(float("nan")) == "an unknown share"
    assert wording.share_cell(float("nan")) == "NaN"


@pytest.mark.parametrize(
    ("norms", "words"),
    [
        ([1.0, 0.25, 0.001], ["1.00", "0.25", "<0.01"]),
        ([3.1e-5, 2e-7], ["3.1e\u221205", "2.0e\u221207"]),
        ([0.0123, 0.0], ["0.0123", "0.0000"]),
        ([float("nan"), 12.0], ["nan", "12.0"]),
    ],
)
def test_a_norm_that_is_not_zero_is_never_told_as_zero(norms, words):
    assert wording.norm_cells(norms) == words


def test_numbers_of_a_column_are_written_as_each_alone():
    numbers = [3.14159, 0.0005, 2.5, 0.125, float("inf"), 0.0]
    assert wording.fixed(numbers, 2) == [f"{number:.2f}" for number in numbers]
    assert wording.fixed([], 2) == []
    for shares in ([0.63, 0.2, 0.0005], [0.5, 0.0004], [float("nan"), 0.3], [0.3, float("nan")], [0.4, 0.0], []):
        assert wording.share_cells(shares) == [wording.share_cell(share) for share in shares]


def test_a_bottleneck_of_another_branch_has_no_table():
    kernel = np.zeros((2, 2, 1, 1), np.float32)
    kernel[0] = 1.0
    every = sample.pairs([sample.weights("block.b", "block", kernel)])
    layers = tuple(sample.facts_of(sample.layer(name, "Conv2d", 2), every) for name in ("block.b", "block"))
    site = dict(render_site(sample.atlas(replace(sample.sample_model(), layers=layers))))
    assert b"shown hold" in site["small/block/0.html"]
    assert b"block.b</a></h3>" not in site["small/block/1.html"]
    assert b"exactly zero" not in site["small/block/1.html"]
