"""The check of a built site: a whole one passes, and every kind of damage is named."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import sample_facts as sample
from click.testing import CliRunner

from generator.commands.check import check
from generator.errors import AtlasError
from generator.publishing.htmlpage import read_page, style_references
from generator.publishing.mirrors import agrees
from generator.publishing.sitecheck import check_site
from generator.render import render_site
from generator.site import write_site

URL = "https://example.org/the/atlas/"


@pytest.fixture(scope="module")
def rendered():
    """The files of the sample atlas, with an address."""
    return dict(render_site(sample.atlas(sample.sample_model(), site_url=URL)))


@pytest.fixture
def site(rendered, tmp_path):
    """Those files in a folder, to be damaged."""
    write_site(iter(rendered.items()), tmp_path / "site")
    return tmp_path / "site"


def problems(site):
    return check_site(site).problems


def change(site, path, old, new, count=1):
    """Replace a pattern in a file."""
    text = (site / path).read_text("utf-8")
    assert re.search(old, text), f"{old} is not in {path}"
    (site / path).write_text(re.sub(old, new, text, count=count), "utf-8")


def add(site, markup, path="index.html"):
    change(site, path, "</main>", lambda _: markup + "</main>")


def only(found, *words):
    """The one problem that was found, which has these words in it."""
    assert len(found) == 1, found
    assert all(word in found[0] for word in words), found[0]


# -- whole sites ----------------------------------------------------------------------------------------------------------


def test_a_site_passes_with_an_address_and_without(site, tmp_path):
    report = check_site(site)
    assert report.problems == ()
    assert re.fullmatch(r"[\d,]+ pages, [\d,]+ references, [\d,]+ rows of tables: all good", report.summary)
    assert "177 rows" in report.summary
    write_site(render_site(sample.sample_atlas()), tmp_path / "plain")
    assert problems(tmp_path / "plain") == ()


def test_a_layer_in_folders_of_a_thousand_passes(tmp_path):
    every = sample.pairs([sample.weights("input", "wide", np.random.default_rng(0).standard_normal((3001, 3, 1, 1)))])
    layers = (
        sample.facts_of(sample.layer("input", "input", 3), every),
        sample.facts_of(sample.layer("wide", "Linear", 3001), every),
    )
    model = replace(sample.sample_model(), layers=layers)
    write_site(render_site(sample.atlas(model)), tmp_path / "site")
    assert problems(tmp_path / "site") == ()


def test_what_others_put_into_a_site_does_not_trouble_it(site):
    (site / "CNAME").write_text("example.org")
    (site / ".git").mkdir()
    (site / ".git/x.html").write_text('<a href="nowhere.html">')
    assert problems(site) == ()


def test_a_folder_without_a_site_is_told(tmp_path):
    with pytest.raises(AtlasError, match="no site is there"):
        check_site(tmp_path)


# -- references -----------------------------------------------------------------------------------------------------------


def test_a_page_that_is_gone_is_missed_by_all_that_lead_to_it(site):
    (site / "small/mixed/2.html").unlink()
    found = problems(site)
    assert [line for line in found if "link leads to 'small/mixed/2.html', which is not there" in line]
    assert [line for line in found if line.startswith("small/mixed/layer.json: lists neuron 2")]
    assert [line for line in found if line.startswith("sitemap.xml: address leads to 'small/mixed/2.html'")]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("theme.css", "stylesheet of the head"),
        ("atlas.js", "script"),
        ("small/mixed/faces.png", "image of a style"),
        ("small/mixed/layer.json", "link"),
        ("small/mixed/card.png", "og:image"),
    ],
)
def test_a_file_that_is_gone_is_named_once_with_the_number_of_pages(site, name, what):
    (site / name).unlink()
    lines = [line for line in problems(site) if f"{what} leads to '{name}', which is not there" in line]
    only(lines)
    assert "more: " in lines[0] or what == "link"


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        ('<img src="small/none.png" alt="">', "image leads to 'small/none.png'"),
        ('<img src="data:," srcset="data:,x 1x, big.png 2x" alt="">', "image leads to 'big.png'"),
        ("<p style=\"background: url('none.png')\">", "image of a style leads to 'none.png'"),
        ('<svg><image href="none.png"/></svg>', "image leads to 'none.png'"),
        ('<iframe src="none.html"></iframe>', "frame leads to 'none.html'"),
        ('<a href="none.json">', "link leads to 'none.json'"),
        ('<a href="small/index.html#nowhere">', "link leads to 'small/index.html#nowhere', but that page has no such place"),
        ('<a href="#nowhere">', "link leads to 'index.html#nowhere'"),
        ('<a href="small/">', "is a folder"),
        ('<a href="small">', "is a folder"),
        ('<a href="../outside.html">', "link leads to '../outside.html'"),
        ('<a href="/the/atlas/index.html">', "begins at the root of the host"),
        ('<a href="javascript:alert(1)">', "is a script"),
        (f'<a href="{URL}none.html">', "link leads to 'none.html'"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(site, markup, words):
    add(site, markup)
    only(problems(site), "index.html: ", words)


@pytest.mark.parametrize(
    "markup",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<img src="HTTP://example.com/x.png" alt="">',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<link rel="preconnect" href="https://fonts.example">',
        "<style>@import 'https://fonts.example/css'; p { color: red }</style>",
        '<style>p { background: url("//example.com/x.png") }</style>',
        '<iframe src="https://example.com/"></iframe>',
        f'<img src="{URL}small/mixed/faces.png" alt="">',
    ],
)
def test_a_request_that_leaves_the_site_is_named(site, markup):
    add(site, markup)
    only(problems(site), "index.html: ", "is asked for from another place")


@pytest.mark.parametrize(
    "script",
    [
        'fetch("https://example.com/x")',
        "import('//example.com/x.js')",
        'import x from "https://example.com/x.js"',
        "new Worker(`https://example.com/w.js`)",
        'request.open("GET", "http://example.com/")',
        'image.src = "https://example.com/x.png"',
        'new WebSocket("wss://example.com/")',
    ],
)
def test_a_script_that_asks_for_an_absolute_address_is_named(site, script):
    (site / "own.js").write_text(f'"use strict";\n{script};\n')
    only(problems(site), "own.js: request '", "another place")


def test_style_sheets_are_read_too(site):
    (site / "own.css").write_text(
        '@import "none.css"; p { background: url(none.png) } i { background: url(https://a.b/c.png) }'
    )
    found = problems(site)
    assert [line.partition(": ")[2].partition("'")[0].strip() for line in found] == [
        "image of a style",
        "image of a style leads to",
        "style sheet leads to",
    ]


@pytest.mark.parametrize(
    "markup",
    [
        '<a href="https://distill.pub/">elsewhere</a>',
        '<a href="mailto:someone@example.com">mail</a>',
        f'<a href="{URL}index.html">here</a>',
        '<a href="small/index.html#sort=norm">a state</a>',
        '<a href="small/mixed/0.html#embed">a state</a>',
        '<a href="#main">here</a>',
        '<a href="how-to-read.html?x=1#norm">a place</a>',
        '<img src="data:image/png;base64,AAAA" alt="">',
    ],
)
def test_what_is_right_is_not_named(site, markup):
    add(site, markup)
    assert problems(site) == ()


def test_addresses_in_json_files_are_followed(site):
    (site / "x.json").write_text(json.dumps({"html": f'<iframe src="{URL}small/none.html#embed">', "other": ["https://a.b/c"]}))
    only(problems(site), "x.json: address leads to 'small/none.html'")


def test_the_page_for_missing_addresses_begins_at_the_root_and_stays_in_the_site(site):
    change(site, "404.html", 'href="/the/atlas/how-to-read.html"', 'href="/the/atlas/none.html"')
    only(problems(site), "404.html: link leads to 'none.html'")


# -- numbers --------------------------------------------------------------------------------------------------------------

PAGE, JSON, NEXT = "small/~_stem/3.html", "small/~_stem/layer.json", "small/mixed/layer.json"


def tables(site, path):
    return json.loads((site / path).read_text("utf-8"))


def put(site, path, said):
    (site / path).write_text(json.dumps(said), "utf-8")


@pytest.fixture
def place(site):
    """A connection of _stem:3 with a neuron of mixed that both list: unit and rank in what _stem writes, the neuron, its norm."""
    own, other = tables(site, JSON), tables(site, NEXT)
    unit = own["units"].index(3)
    written, read = own["writes"][0], next(table for table in other["reads"] if table["layer"] == "_stem")
    assert written["layer"] == "mixed"
    mutual = [each for at, each in enumerate(other["units"]) if 3 in read["other"][at] and each in written["other"][unit]]
    neuron = next(each for each in mutual if each != sample.BROKEN)
    rank = written["other"][unit].index(neuron)
    return unit, rank, neuron, written["norm"][unit][rank]


def edit_row(site, path, table, neuron, act):
    """Change the text of a row: that of a neuron, in a table of a page."""
    text = (site / path).read_text("utf-8")
    start = re.search(rf'<table id="?{table}"?[ >]', text).start()
    rows = re.split(r"(?=<tr)", text[start : text.index("</table>", start)])
    (at,) = [at for at, row in enumerate(rows) if f"/{neuron}.html" in row]
    new = [*rows[:at], act(rows[at]), *rows[at + 1 :]]
    (site / path).write_text(text.replace("".join(rows), "".join(new)), "utf-8")


def with_cell(number, text):
    """A change of the text of one cell, the first after the head being 1."""

    def act(row):
        cells = re.split(r"(?=<td)", row)
        cells[number] = re.sub(r">[^<]*", f">{text}", cells[number], count=1)
        return "".join(cells)

    return act


def test_a_norm_that_differs_from_the_numbers_of_its_layer_is_named(site, place):
    edit_row(site, PAGE, "w0", place[2], with_cell(1, "9.99"))
    only(problems(site), PAGE, f"table w0, row mixed:{place[2]}", f"says norm 9.99, layer.json {place[3]:g}")


def test_a_norm_whose_last_digit_is_wrong_is_named(site, place):
    wrong = f"{place[3] + 0.001:.3f}"
    edit_row(site, PAGE, "w0", place[2], with_cell(1, wrong))
    only(problems(site), f"says norm {wrong}, layer.json {place[3]:g}")


def test_a_sign_that_is_not_that_of_the_numbers_is_named(site, place):
    edit_row(site, PAGE, "w0", place[2], with_cell(3, "none"))
    only(problems(site), PAGE, "says none, layer.json ")


def test_a_row_that_leads_to_another_neuron_than_it_names_is_named(site, place):
    edit_row(site, PAGE, "w0", place[2], lambda row: row.replace(f"/{place[2]}.html", "/6.html"))
    only(problems(site), f"leads to small/mixed/6.html, expected small/mixed/{place[2]}.html")


def test_a_row_that_is_gone_is_named(site, place):
    edit_row(site, PAGE, "w0", place[2], lambda row: "")
    only(problems(site), PAGE, "table w0: its rows are not the connections with mixed that")


def test_a_table_that_is_gone_is_named(site):
    change(site, PAGE, r'(?s)<table id="?w0.*?</table>', "")
    assert [
        line for line in problems(site) if line.startswith(f"{PAGE}: table w0: its rows are not the connections with mixed")
    ]


def test_a_share_kept_that_differs_is_named(site):
    change(site, "small/mixed/0.html", r"(?s)(<table id=r1.*?<tbody>.*?<td>[^<]*<td>[^<]*<td>)[\d.]+", r"\g<1>7.77")
    only(problems(site), "small/mixed/0.html: table r1", "says 7.77 is kept, layer.json ")


def test_pages_whose_template_leaves_the_tables_out_are_no_mistake(site):
    change(site, PAGE, r"(?s)<table.*?</table>", "", count=0)
    assert problems(site) == ()


def test_a_number_that_differs_from_its_mirror_is_named_with_both(site):
    said = tables(site, NEXT)
    before = said["reads"][1]["excitation"][0][0]
    said["reads"][1]["excitation"][0][0] = before * 1.001
    put(site, NEXT, said)
    name = said["reads"][1]["layer"]
    only(problems(site), f"{NEXT}: excitation of mixed:0 and {name}:", f"but {before:g} in small/")


def test_a_row_and_its_number_changed_together_are_found_by_their_mirror(site, place):
    said = tables(site, JSON)
    unit, rank, neuron, norm = place
    said["writes"][0]["norm"][unit][rank] = 9.99
    put(site, JSON, said)
    edit_row(site, PAGE, "w0", neuron, with_cell(1, "9.99"))
    found = problems(site)
    assert [line for line in found if f"{NEXT}: norm of mixed:{neuron} and _stem:3 is {norm:g}, but 9.99 in {JSON}" in line]


def test_a_connection_that_its_mirror_leaves_out_is_named(site, place):
    said = tables(site, JSON)
    unit, rank, neuron, norm = place
    table = said["writes"][0]
    unlisted = min(set(range(12)) - set(table["other"][unit]))
    for name in ("other", "norm", "excitation", "inhibition", "share"):
        del table[name][unit][rank]
        table[name][unit].append(unlisted if name == "other" else 1e-9)
    put(site, JSON, said)
    expected = f"{NEXT}: mixed:{neuron} reads _stem:3 with norm {norm:g}, which {JSON} leaves out"
    assert [line for line in problems(site) if line == expected]


def test_files_that_hold_no_numbers_of_a_layer_are_named(site):
    (site / JSON).write_text("{")
    assert [line for line in problems(site) if line.startswith(f"{JSON}: is no JSON")]
    put(site, JSON, {"layer": "x"})
    assert [line for line in problems(site) if line.startswith(f"{JSON}: does not hold the numbers of a layer")]


def test_a_neuron_without_its_place_on_the_page_of_its_layer_is_named(site):
    change(site, "small/mixed/index.html", r'id="?u2"?', "")
    found = problems(site)
    assert [line for line in found if line.startswith("small/mixed/index.html: shows no neuron 2")]


@pytest.mark.parametrize(
    ("text", "value", "agree"),
    [
        ("0.418", 0.4183, True),
        ("0.418", 0.4178, True),
        ("0.418", 0.4191, False),
        ("12.3", 12.34, True),
        ("12.3", 12.41, False),
        ("0.000", 0.0, True),
        ("<0.001", 0.0004, True),
        ("<0.001", 0.0021, False),
        ("1.2e\u22124", 0.000123, True),
        ("1.2e\u22124", 0.00014, False),
        ("3", 3.2, True),
        ("NaN", math.nan, True),
        ("inf", math.nan, True),
        ("0.4", math.nan, False),
        ("NaN", 0.4, False),
        ("–", math.nan, True),
        ("", 0.4, False),
    ],
)
def test_numbers_agree_to_the_digits_that_are_shown(text, value, agree):
    assert agrees(text, value) is agree


# -- reading --------------------------------------------------------------------------------------------------------------


def test_rows_are_read_with_and_without_the_end_tags_that_may_be_left_out():
    head = "<table id=r0><thead><tr><th>neuron<th>norm<th>share<th>kept<th>sign<tbody>"
    bare = (
        head
        + '<tr><th><a href="../a/7.html">7 a cat</a><td>0.5<td>1%<td>0.91<td>mixed<tr><th><span>8</span><td>0.4<td>1%<td>–<td>none</table>'
    )
    full = re.sub(r"<(t[hdr])([^<]*(?:<(?:a|span)[^>]*>[^<]*</(?:a|span)>)?[^<]*)", r"<\1\2</\1>", bare).replace("</tr>", "")
    for page in (bare, full):
        rows = read_page(page.encode()).tables["r0"]
        assert [tuple(row) for row in rows] == [("7", "../a/7.html", "0.5", "0.91", "mixed"), ("8", None, "0.4", "–", "none")]


def test_addresses_of_styles_are_read_however_they_are_quoted():
    found = style_references("a { b: url(1.png) } c { d: url( '2.png' ) } e { f: url(\"3.png\"), url(data:,x) }")
    assert [one.address for one in found] == ["1.png", "2.png", "3.png", "data:,x"]


# -- the command ----------------------------------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(check, [str(each) for each in arguments])


def test_a_whole_site_is_summed_up_and_a_damaged_one_fails(site):
    good = call("--site", site)
    assert (good.exit_code, good.stdout.count("\n")) == (0, 1)
    (site / "theme.css").unlink()
    bad = call("--site", site)
    assert bad.exit_code == 1
    assert "theme.css" in bad.stdout
    assert bad.stderr == "1 problem\n"


def test_very_many_problems_are_cut_short_with_their_number(site):
    for number in range(150):
        add(site, f'<a href="none{number}.html">')
    bad = call("--site", site)
    assert bad.stdout.count("\n") == 100
    assert bad.stderr == "150 problems, 50 of them not shown\n"


def test_a_spec_and_a_site_are_not_checked_at_once(site):
    assert call("atlas.yaml", "--site", site).exit_code == 2
