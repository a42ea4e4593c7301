"""Notes beside the spec, and Markdown as the atlas reads it."""

import pytest
from markupsafe import Markup

from generator.authored.notes import load_notes
from generator.authored.prose import LayerPlace, Places, flaws, render
from generator.errors import SpecError
from generator.records import Note

LAYERS = {"conv0": LayerPlace(8, frozenset({0, 1})), "_b.mix": LayerPlace(3000, frozenset(range(3000)))}
ONE = Places({"net": LAYERS}, {"curve detectors": "curve-detectors.html"})
TWO = Places({"net": LAYERS, "other": {"conv0": LayerPlace(4, frozenset({0})), "last": LayerPlace(2, frozenset())}}, {})


def write(folder, **files):
    """Notes by path, `__` for a folder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def problems(folder, places=ONE, **files):
    write(folder, **files)
    with pytest.raises(SpecError) as caught:
        load_notes(folder, places)
    return [line.removeprefix(f"{folder}/") for line in caught.value.lines]


def test_a_note_is_on_the_layer_or_the_neuron_that_its_file_is_named_for(tmp_path):
    write(tmp_path, net__conv0="On the layer.\n", net__conv0__5="Five.", net__conv0__0="\ufeffNought.\r\nMore.\r\n")
    (tmp_path / "net" / "_b.mix.md").write_text("Below.")
    assert load_notes(tmp_path, ONE) == (
        Note("net", "conv0", None, "On the layer.\n", f"{tmp_path}/net/conv0.md"),
        Note("net", "conv0", 0, "Nought.\nMore.\n", f"{tmp_path}/net/conv0/0.md"),
        Note("net", "conv0", 5, "Five.", f"{tmp_path}/net/conv0/5.md"),
        Note("net", "_b.mix", None, "Below.", f"{tmp_path}/net/_b.mix.md"),
    )


def test_what_is_no_note_is_passed_over(tmp_path):
    write(tmp_path, README="How these are kept.", **{".draft": "x", ".git__HEAD": "x"})
    (tmp_path / "picture.png").write_bytes(b"x")
    assert load_notes(tmp_path, ONE) == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("conv0", "conv0.md: found 'conv0.md', expected MODEL/LAYER.md or MODEL/LAYER/UNIT.md"),
        ("net__conv0__1__2", "net/conv0/1/2.md: found 'net/conv0/1/2.md', expected MODEL/LAYER.md or MODEL/LAYER/UNIT.md"),
        ("nett__conv0", "nett/conv0.md: found 'nett', expected a model of the atlas; nearest: net"),
        ("net__conv1", "net/conv1.md: found 'conv1', expected a layer of net that has a page; nearest: conv0"),
        ("net__conv0__8", "net/conv0/8.md: found '8', expected a unit of conv0: 0 to 7"),
        ("net__conv0__01", "net/conv0/01.md: found '01', expected a unit of conv0: 0 to 7"),
        ("net__conv0__one", "net/conv0/one.md: found 'one', expected a unit of conv0: 0 to 7"),
        ("net__conv0__²", "net/conv0/².md: found '²', expected a unit of conv0: 0 to 7"),
    ],
)
def test_a_file_that_names_nothing_of_the_atlas_is_told(tmp_path, name, said):
    assert problems(tmp_path, **{name: "x"}) == [said]


def test_every_mistake_of_a_folder_is_told_at_once_with_its_place(tmp_path):
    said = problems(
        tmp_path,
        net__conv0="Good: [[conv0:1]].\n\n- wrong: [[conv0:12]]\n",
        net__conv0__1="",
        net__conv0__2=b"\xff",
        net__conv9="x",
    )
    assert said == [
        "net/conv0/1.md: found an empty file, expected Markdown",
        "net/conv0/2.md: found a byte that is not UTF-8 at place 0, expected UTF-8 text",
        "net/conv0.md:3:10: [[conv0:12]]: found unit '12', but conv0 has 8 neurons: 0 to 7",
        "net/conv9.md: found 'conv9', expected a layer of net that has a page; nearest: conv0",
    ]


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("conv0", "net/conv0/index.html"),
        ("conv0:1", "net/conv0/1.html"),
        ("conv0:7", "net/conv0/index.html#u7"),  # a neuron without a page is in its layer's grid
        ("net/conv0:1", "net/conv0/1.html"),
        ("_b.mix:2001", "net/~_b.mix~2000/2001.html"),
        ("Curve Detectors", "families/curve-detectors.html"),
    ],
)
def test_a_reference_leads_to_its_page(named, path):
    assert ONE.path(named) == path
    assert render(f"[[{named}]]", ONE, "../") == f'<p><a href="../{path}">{named}</a></p>\n'


def test_a_layer_of_several_models_is_that_of_the_model_the_text_is_about():
    assert TWO.path("conv0:0", "other") == "other/conv0/0.html"
    assert TWO.path("conv0:0", "net") == "net/conv0/0.html"
    assert TWO.path("last", "net") == "other/last/index.html"
    (flaw,) = flaws("[[conv0:0]]", TWO)
    assert flaw.text == "[[conv0:0]]: found a layer of several models, expected one of net/conv0:0, other/conv0:0"


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("a [[cnv0]]", 1, 3, "[[cnv0]]: found no such place, expected layer:unit, a layer or a family; nearest: conv0"),
        ("[[curve]]", 1, 1, "[[curve]]: found no such place, expected layer:unit, a layer or a family; nearest: curve detectors"),
        ("x\n\n> [[net/cnv0:1]]", 3, 3, "[[net/cnv0:1]]: found no layer 'cnv0' of net, expected one of the atlas; nearest: conv0"),
        ("[[conv0:-1]]", 1, 1, "[[conv0:-1]]: found unit '-1', but conv0 has 8 neurons: 0 to 7"),
        ("[[conv0:1]] [[conv0:8]]", 1, 13, "[[conv0:8]]: found unit '8', but conv0 has 8 neurons: 0 to 7"),
        ("a\n![p](http://x/y.png)", 2, 1, "found the picture 'http://x/y.png', expected text: the site loads nothing from elsewhere"),
        ("# H\n[x](other.md)", 2, 5, "found a link to 'other.md', expected an address that begins with http or https, or [[layer:unit]] for a page of the atlas"),
        ("<javascript:alert(1)>", 1, 2, "found a link to 'javascript:alert(1)', expected an address that begins with http or https, or [[layer:unit]] for a page of the atlas"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_told_with_its_place(text, line, column, said):
    assert flaws(text, ONE) == [(line, column, said)]
    with pytest.raises(ValueError):
        render(text, ONE, "../")


def test_the_same_mistake_twice_is_told_where_each_stands():
    assert [flaw[:2] for flaw in flaws("[[x]] [[x]]\n[[x]]", ONE)] == [(1, 1), (1, 7), (2, 1)]


@pytest.mark.parametrize(
    "text", ["`[[nothing]]`", "    [[nothing]]", "```\n[[nothing]]\n```", r"\[[nothing]]", "[[]] [[a\nb]]"]
)
def test_code_and_escaped_brackets_are_no_references(text):
    assert flaws(text, ONE) == []
    assert "<a " not in render(text, ONE, "../")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "<!-- x -->",
        "**<b onclick=x>**",
        "[[conv0]]<iframe src=x>",
    ],
)
def test_html_is_shown_as_it_stands(text):
    html = render(text, ONE, "../")
    assert isinstance(html, Markup)
    assert not {part.split()[0].strip("/>") for part in html.split("<")[1:]} & {"script", "img", "iframe", "b", "!--"}


def test_links_leave_the_site_and_say_so():
    html = render('[a&b](https://example.org/?a=1&b="2" "t") and <mailto:a@b.org>', ONE, "../")
    assert '<a href="https://example.org/?a=1&amp;b=%222%22" title="t" rel="external noopener">a&amp;b</a>' in html
    assert '<a href="mailto:a@b.org" rel="external noopener">' in html


def test_headings_stand_below_the_name_of_the_page_without_a_gap():
    html = render("# One\n\n#### Two\n\nThree\n=====\n", ONE, "../")
    assert html == "<h2>One</h2>\n<h3>Two</h3>\n<h2>Three</h2>\n"


def test_tables_have_heads_with_a_scope():
    html = render("| a | b |\n|---|--:|\n| [[conv0]] | 2 |\n", ONE, "../")
    assert html.count('scope="col"') == 2
    assert '<td><a href="../net/conv0/index.html">conv0</a></td>' in html
