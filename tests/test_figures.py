"""Figures linked to an atlas: which ids are addresses, and that nothing else of a file is touched."""

import base64
import json
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from generator.__main__ import main
from generator.addresses import folder, neuron_folder, unfolded
from generator.errors import AtlasError
from generator.pictures import png
from generator.site import write_site
from generator.taking.figures import data_of, link_figure, page_of, picture_size
from generator.taking.published import Published, published
from generator.taking.svg import Edit, FigureError, edited, elements

PAGES = {
    "net": {"mixed3b": {unit: f"net/mixed3b/{unit}.html" for unit in range(480)}, "conv_2": {0: "net/conv_2/0.html"}},
    "two.0": {"layer1.0.conv1": {5: "two.0/layer1.0.conv1/5.html"}, "conv_2": {0: "two.0/conv_2/0.html"}},
}
TILE = "data:image/png;base64," + base64.b64encode(png(np.zeros((3, 3, 3), np.uint8))).decode()
NOISE = png(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8))


def svg(body, head=""):
    return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"{head}>{body}</svg>'.encode()


def link(body, pages=PAGES, images=None, where="https://example.org/a", head=""):
    content = body if isinstance(body, bytes) else svg(body, head)
    return link_figure(Path("f.svg"), content, Published(where, pages), Path("out/f.svg"), images)


def text_of(body, **options):
    return link(body, **options).content.decode()


def problems(body, **options):
    with pytest.raises(FigureError) as caught:
        link(body, **options)
    return list(caught.value.lines)


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("mixed3b_379", "net/mixed3b/379.html"),
        ("mixed3b:379", "net/mixed3b/379.html"),
        ("net.mixed3b_379", "net/mixed3b/379.html"),
        ("layer1.0.conv1_5", "two.0/layer1.0.conv1/5.html"),
        ("two.0.layer1.0.conv1_5", "two.0/layer1.0.conv1/5.html"),
        ("net.conv_2_0", "net/conv_2/0.html"),
        ("mixed3b_x5F_379", "net/mixed3b/379.html"),  # Illustrator
        ("mixed3b_x5F_379_1_", "net/mixed3b/379.html"),
        ("mixed3b_379_00000123456789012345_", "net/mixed3b/379.html"),
        ("mixed3b_379-2", "net/mixed3b/379.html"),  # Inkscape
        ("mixed3b_379-2-7", "net/mixed3b/379.html"),
        ("mixed3b_379-copy-2", "net/mixed3b/379.html"),  # Sketch
        ("mixed3b_379_2", "net/mixed3b/379.html"),  # Figma
        ("mixed3b_379_", "net/mixed3b/379.html"),  # Illustrator, of what began the same
    ],
)
def test_an_address_is_understood_as_editors_write_it(name, page):
    assert page_of(name, PAGES) == page


@pytest.mark.parametrize(
    "name", ["Layer_1", "path_12", "SVGID_1_", "g10", "image", "line2d_3", "_", "1", "mixed3b", "x_x5F_y", "é_3"]
)
def test_an_id_of_an_editors_own_is_no_address(name):
    assert page_of(name, PAGES) == ""


def test_every_id_that_matches_no_neuron_is_told_with_its_place_and_the_nearest():
    found = problems('<g id="mixed3b_480"/>\n  <g id="mixed3c_1"/><g id="Layer_1"/><g id="net.mixd3b_1"/><g id="conv_2_0"/>')
    assert [line.split(": ")[0] for line in found] == ["f.svg:1:84", "f.svg:2:3", "f.svg:2:39", "f.svg:2:61"]
    assert found[0].endswith(
        "id: found 'mixed3b_480', expected a neuron of mixed3b with a page; nearest: mixed3b_478, mixed3b_479"
    )
    assert "nearest: mixed3b" in found[1]
    assert "nearest: net.mixed3b" in found[2]
    assert found[3].endswith("found 'conv_2_0', which is in 2 models, expected 'net.conv_2_0' or the like")


def test_ids_of_layers_are_left_as_they_are_and_counted():
    body = '<g id="mixed3b"><path/></g><g id="net.mixed3b-2"/><g id="mixed3b_3"/><g id="Layer_1"/><g id="conv_2"/>'
    done = link(body)
    assert (done.links, done.layers) == (1, 3)
    assert str(done).endswith("3 of a layer alone (no neuron, as in conv1_7) not linked")
    assert "a layer" not in str(link('<g id="mixed3b_3"/>'))


def test_a_link_is_put_around_and_nothing_else_is_touched():
    before = (
        b'<?xml version="1.0" encoding="utf-8"?>\r\n<!-- Generator: \xc3\xa9 -->\n'
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" [\n'
        b'<!ENTITY ns_svg "http://www.w3.org/2000/svg">\n]>\n'
        b"<svg  xmlns='&ns_svg;' xmlns:i='urn:i' i:b=\"1>2\" >\n\t<g id = 'mixed3b_1' ><rect  /><!-- mixed3b_2 --></g >\n"
        b"<![CDATA[ <g id='mixed3b_3'/> ]]><i:g id='mixed3b_4'/><rect\n id='mixed3b_5'\n/></svg>\n<!-- end -->"
    )
    after = link(before).content
    href = b'<a href="https://example.org/a/net/mixed3b/%d.html">'
    assert after.replace(href % 1, b"").replace(href % 5, b"").replace(b"</a>", b"") == before
    assert href % 1 + b"<g id = 'mixed3b_1' ><rect  /><!-- mixed3b_2 --></g ></a>" in after
    assert href % 5 + b"<rect\n id='mixed3b_5'\n/></a>" in after
    ElementTree.fromstring(after)


def test_a_figure_without_addresses_stays_as_it_is():
    content = svg('<g id="Layer_1"><path d="M0 0"/></g>')
    assert link(content).content == content


def test_a_link_has_the_prefix_of_its_element():
    body = b'<s:svg xmlns:s="http://www.w3.org/2000/svg"><s:g id="mixed3b_1"/></s:svg>'
    assert b'<s:a href="https://example.org/a/net/mixed3b/1.html"><s:g id="mixed3b_1"/></s:a>' in link(body).content


def test_what_is_not_drawn_where_it_stands_gets_no_link():
    body = '<defs><g id="mixed3b_1"/></defs><clipPath id="mixed3b_2"><rect id="mixed3b_3"/></clipPath>'
    assert link(body).links == 0


def test_links_are_never_nested():
    own = '<a href="x"><g id="mixed3b_1"/></a>'
    done = link(own)
    assert (done.content, done.links, done.already) == (svg(own), 0, 1)
    same = text_of('<g id="mixed3b_1"><g id="mixed3b_1-2"/></g>')
    assert re.findall(r"<a [^>]+><g id=\"([^\"]+)", same) == ["mixed3b_1"]
    other = text_of('<g id="mixed3b_1"><g id="mixed3b_2"/><g id="mixed3b_1_1_"/></g>')
    assert re.findall(r"<a [^>]+><g id=\"([^\"]+)", other) == ["mixed3b_2", "mixed3b_1_1_"]


def test_linking_twice_is_linking_once():
    once = link('<g id="mixed3b_1"/><g id="mixed3b_1"/>' + f'<image xlink:href="{TILE}"/>').content
    again = link(once)
    assert (again.content, again.links, again.already) == (once, 0, 2)


def test_a_figure_that_is_itself_a_neuron_is_linked_within():
    assert text_of("<rect/>", head=' id="mixed3b_7"').endswith(
        '><a href="https://example.org/a/net/mixed3b/7.html"><rect/></a></svg>'
    )


def test_ids_are_made_unique_and_the_first_keeps_its_own():
    done = link('<g id="a"/><g id="a"/><g id="a-2"/><g id="a"/><g id="mixed3b_1"/><g id="mixed3b_1"/>')
    ids = re.findall(r' id="([^"]+)"', done.content.decode())
    assert ids == ["a", "a-3", "a-2", "a-4", "mixed3b_1", "mixed3b_1-2"]
    assert (done.links, done.renamed) == (2, 3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<image {}/>", '<image image-rendering="pixelated" {}/>'),
        ('<image image-rendering="auto" {}/>', '<image image-rendering="pixelated" {}/>'),
        ('<image style="a:b;image-rendering:optimizeQuality" {}/>', '<image style="a:b;image-rendering:pixelated" {}/>'),
        ('<image style="image-rendering:pixelated" {}/>', '<image style="image-rendering:pixelated" {}/>'),
    ],
)
@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
def test_the_pixels_of_small_pictures_stay_pixels(before, after, attribute):
    reference = f'{attribute}="{TILE}"'
    assert link(before.format(reference)).content == svg(after.format(reference))


def test_large_and_unknown_pictures_are_drawn_as_before():
    large = "data:image/png;base64," + base64.b64encode(NOISE).decode()
    for href in (large, "none.png", "https://example.org/x.png", "data:image/png;base64,A", "data:,x", "data:image/png,%89PNG"):
        content = svg(f'<image xlink:href="{href}"/>')
        assert link(content).content == content


def test_a_small_picture_beside_the_figure_is_known_by_its_file(tmp_path):
    (tmp_path / "a b.png").write_bytes(png(np.zeros((5, 5, 3), np.uint8)))
    content = svg('<image href="a%20b.png"/>')
    done = link_figure(tmp_path / "f.svg", content, Published("https://example.org", PAGES), tmp_path / "g.svg")
    assert done.crisp == 1


def test_large_pictures_are_moved_once_each_where_that_is_asked_for():
    lines = "&#xA;".join(re.findall(".{1,76}", base64.b64encode(NOISE).decode()))  # as Illustrator breaks them
    body = f'<image xlink:href="data:image/png;base64,{lines}"/><image href="data:image/png;base64,{base64.b64encode(NOISE).decode()}"/><image href="{TILE}"/>'
    done = link(body, images=Path("out/files of it"))
    ((name, held),) = done.moved.items()
    assert held == NOISE
    assert done.content.decode().count(f'href="files%20of%20it/{name}"') == 2
    assert TILE in done.content.decode()
    assert link(body).moved == {}


def test_sizes_are_read_from_the_heads_of_files():
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x00\x20\x00\x30\x03" + bytes(9)
    assert picture_size(jpeg) == (48, 32)
    assert picture_size(b"GIF89a\x03\x00\x05\x00") == (3, 5)
    assert picture_size(NOISE) == (80, 80)
    assert [picture_size(held) for held in (b"", b"\x89PNG", b"\xff\xd8\xff", b"<svg/>")] == [None] * 4


def test_data_uris_are_read_as_they_are_written():
    assert data_of("data:image/svg+xml;charset=utf-8,%3Csvg/%3E") == ("image/svg+xml", b"<svg/>")
    assert data_of(" data:image/png;base64,AA\n== ") == ("image/png", b"\0")
    assert data_of("picture.png") == ("", b"")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "f.svg:1:1: not well-formed XML: no element found"),
        (b"<svg", "f.svg:1:1: not well-formed XML: unclosed token"),
        (svg('<g id="mixed3b_1">\n'), "f.svg:2:3: not well-formed XML: mismatched tag"),
        (b"<html/>", "f.svg:1:1: found no <svg>"),
        ("<svg/>".encode("utf-16"), "f.svg: found UTF-16"),
        (b"<!DOCTYPE svg [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><svg>&b;</svg>", "found the entity 'b'"),
        (b"<!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>", "found the entity 'a'"),
        (b"<!DOCTYPE svg [<!ENTITY %% a '%s'>]><svg/>" % (b"x" * 3), "found the entity 'a'"),
        (b"<!DOCTYPE svg [<!ENTITY a '%s'>]><svg/>" % (b"x" * 600), "found the entity 'a'"),
        (b"<!DOCTYPE svg [<!ENTITY a '<g/>'>]><svg>&a;</svg>", "found the entity 'a'"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(content, words):
    (line,) = problems(content)
    assert words in line


def test_a_file_in_another_encoding_is_linked_at_the_right_places():
    content = "<?xml version='1.0' encoding='iso-8859-1'?><svg xmlns='http://www.w3.org/2000/svg'><text>ééé</text><g id='mixed3b_1'/></svg>"
    assert "<text>ééé</text><a href=" in link(content.encode("latin-1")).content.decode("latin-1")


def test_places_in_a_file_are_those_of_its_bytes():
    content = svg("<text>é</text><g><rect/></g>")
    found = {one.name: content[one.start : one.end] for one in elements(content, "f")}
    assert (found["rect"], found["g"], found["text"]) == (b"<rect/>", b"<g><rect/></g>", "<text>é</text>".encode())


def test_edits_that_overlap_are_our_mistake():
    assert edited(b"abc", [Edit(1, 2, b"x"), Edit(1, 1, b"y"), Edit(3, 3, b"z")]) == b"ayxcz"
    with pytest.raises(ValueError):
        edited(b"abc", [Edit(0, 2, b""), Edit(1, 3, b"")])


# -- the atlas it is linked to ---------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    files = ["index.html", "families/7.html", "net/index.html", "net/~_a/index.html", "net/~_a/3.html", "net/~_a/oembed/3.json"]
    files += [f"net/{neuron_folder('big', 2_950, 3_000)}/2950.html"]
    write_site(((path, b"") for path in files), tmp_path / "site")
    return tmp_path / "site"


def test_the_neurons_of_a_site_are_those_with_a_page(site):
    assert published(site).pages == {"net": {"_a": {3: "net/~_a/3.html"}, "big": {2950: "net/big~2000/2950.html"}}}
    assert published(site / "index.html").pages == published(site).pages


@pytest.mark.parametrize(
    "name", ["_a", "~_a", "~a", "a b", "a~20~b", "a/b", "a.", "a", "é", ".", "..", "layer1.0", "a~3000", "_", "a "]
)
def test_a_name_comes_back_from_its_folder(name):
    assert unfolded(folder(name)) == name
    assert unfolded(neuron_folder(name, 3_147, 4_000)) == name


def test_links_to_a_folder_are_relative_to_the_figure(site, tmp_path, capsys):
    (tmp_path / "f.svg").write_bytes(svg('<g id="_a_3"/>'))
    with pytest.raises(SystemExit) as ended:
        main(["link-figure", str(tmp_path / "f.svg"), "--atlas", str(site), "-o", str(tmp_path / "deep/er/f.svg")])
    assert ended.value.code == 0
    assert b'<a href="../../site/net/~_a/3.html">' in (tmp_path / "deep/er/f.svg").read_bytes()
    assert capsys.readouterr().out == f"{tmp_path}/deep/er/f.svg: 1 linked\n"


def test_the_command_writes_nothing_where_an_id_is_wrong(site, tmp_path, capsys):
    (tmp_path / "f.svg").write_bytes(svg('<g id="_a_3"/>\n<g id="_a_4"/>'))
    with pytest.raises(SystemExit) as ended:
        main(["link-figure", str(tmp_path / "f.svg"), "--atlas", str(site)])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err == f"{tmp_path}/f.svg:2:1: id: found '_a_4', expected a neuron of _a with a page; nearest: _a_3\n"
    assert not (tmp_path / "f-linked.svg").exists()


@pytest.mark.parametrize(
    ("figure", "atlas", "code", "words"),
    [
        ("none.svg", "site", 2, "'none.svg' does not exist"),
        (".", "site", 2, "'.' is a directory"),
        ("f.svg", "elsewhere", 2, "found no atlas-site.json"),
        ("f.svg", "https://127.0.0.1:1/atlas", 1, "cannot be fetched: "),
        ("f.svg", "http://:1/", 1, "cannot be fetched: "),
    ],
)
def test_what_cannot_be_read_is_one_line(site, tmp_path, monkeypatch, capsys, figure, atlas, code, words):
    monkeypatch.chdir(tmp_path)
    Path("f.svg").write_bytes(svg(""))
    with pytest.raises(SystemExit) as ended:
        main(["link-figure", figure, "--atlas", atlas])
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (code, "", 1)
    assert words in err


def test_an_atlas_is_read_over_http_and_its_errors_told(site, tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *given):
            super().__init__(*given, directory=str(tmp_path))

        def log_message(self, *message):
            pass

    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "atlas-site.json").write_text(json.dumps({"made_by": "another", "files": {}}))
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_address[1]}"
        remote = published(f"{root}/site/index.html")
        assert remote.pages == published(site).pages
        assert remote.place("net/~_a/3.html") == f"{root}/site/net/~_a/3.html"
        with pytest.raises(AtlasError, match=r"answers 404 .*; is this the address of an atlas\?"):
            published(f"{root}/nowhere/")
        with pytest.raises(AtlasError, match="is not that of an atlas"):
            published(f"{root}/wrong")
        server.shutdown()
