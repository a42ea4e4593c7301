"""Templates and static files of the user's in place of ours, file by file; what is told of those that break."""

import re
from pathlib import Path

import pytest
import sample_facts as sample

from generator.errors import SPEC, SpecError
from generator.look import Look, OverrideError, Renderer, beside, look_of
from generator.render import count_files, render_site
from generator.spec import load_spec

MODEL = "models:\n  - {name: small, source: bundled}\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with a spec that names both folders, which are there and empty."""
    (tmp_path / "atlas.yaml").write_text(f"title: t\ntemplates: own\nstatic: files\n{MODEL}")
    (tmp_path / "own").mkdir()
    (tmp_path / "files").mkdir()
    return tmp_path


def put(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def look(folder):
    return look_of(load_spec(folder / "atlas.yaml"))


def built(folder):
    return dict(render_site(sample.sample_atlas(), look(folder)))


def problem(folder, act=built):
    with pytest.raises(OverrideError) as caught:
        act(folder)
    assert caught.value.exit_code == SPEC
    (line,) = caught.value.lines
    return line.removeprefix(f"{folder}/")


# -- templates ------------------------------------------------------------------------------------------------------------


def test_without_folders_of_the_users_the_site_is_as_it_was(folder):
    assert built(folder) == dict(render_site(sample.sample_atlas()))


def test_a_block_of_a_template_is_overridden_and_the_rest_stays(folder):
    put(folder, "own/index.html", '{% extends "ours/index.html" %}{% block introduction %}<p>mine</p>{% endblock %}')
    ours, own = dict(render_site(sample.sample_atlas())), built(folder)
    assert {path for path in ours if ours[path] != own[path]} == {"index.html"}
    assert b"<p>mine</p>" in own["index.html"]
    assert b"Pick any picture" not in own["index.html"]
    assert b"<h1>" in own["index.html"]


def test_the_base_of_all_pages_is_overridden_by_one_that_extends_it(folder):
    put(folder, "own/base.html", '{% extends "ours/base.html" %}{% block footer %}<p>my foot</p>{% endblock %}')
    pages = {path: content for path, content in built(folder).items() if path.endswith(".html") and b"refresh" not in content}
    assert {path for path, content in pages.items() if b"<p>my foot</p>" not in content} == {"404.html"}  # it needs nothing


def test_a_template_of_the_users_may_use_another_of_theirs(folder):
    put(folder, "own/parts/logo.html", "<b>logo</b>")
    put(folder, "own/base.html", '{% extends "ours/base.html" %}{% block band %}{% include "parts/logo.html" %}{% endblock %}')
    assert b"<b>logo</b>" in built(folder)["small/index.html"]


def test_the_users_values_are_escaped_as_ours_are(folder):
    put(folder, "own/index.html", '{% extends "ours/index.html" %}{% block introduction %}{{ atlas.title }}{% endblock %}')
    assert sample.HOSTILE.encode() not in built(folder)["index.html"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("{{ page.adress }}", 2, "'adress' is undefined in a NeuronPage; nearest: address"),
        ("{{ pagee.address }}", 2, "'pagee' is undefined; nearest: page"),
        ("{{ page.address | upperr }}", 2, "No filter named 'upperr'"),
        ("{% if page.address %}", 2, "unknown tag 'endblock'"),
        ('{% include "partz.html" %}', 2, "no template 'partz.html'; nearest: parts.html"),
        ("{{ 1 // (page.unit - page.unit) }}", 2, "ZeroDivisionError"),
    ],
)
def test_a_template_that_breaks_says_which_line_and_what(folder, text, line, said):
    put(folder, "own/neuron.html", '{% extends "ours/neuron.html" %}\n{% block main %}' + text + "{% endblock %}\n")
    told = problem(folder)
    assert told.startswith(f"own/neuron.html:{line}: ")
    assert said in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% block notes %}x{% endblock %}", "3: no block 'notes' in ours/neuron.html; nearest: note"),
        ("{% block mian %}x{% endblock %}", "3: no block 'mian' in ours/neuron.html; nearest: main"),
        ("{% block xyz %}x{% endblock %}", "3: no block 'xyz' in ours/neuron.html"),
    ],
)
def test_a_block_that_no_template_above_has_is_told_with_the_nearest(folder, text, said):
    put(folder, "own/neuron.html", '{% extends "ours/neuron.html" %}\n\n' + text)
    assert problem(folder, look) == f"own/neuron.html:{said}"


def test_blocks_of_the_users_own_within_theirs_and_those_of_a_template_further_up_are_good(folder):
    put(folder, "own/base.html", '{% extends "ours/base.html" %}{% block band %}{% block logo %}{% endblock %}{% endblock %}')
    put(
        folder,
        "own/index.html",
        '{% extends "ours/index.html" %}{% block footer %}{% endblock %}{% block logo %}L{% endblock %}',
    )
    assert built(folder)


def test_blocks_under_a_template_whose_name_is_worked_out_are_let_be(folder):
    put(folder, "own/index.html", '{% extends "ours/" ~ "index.html" %}{% block xyz %}{% endblock %}')
    assert look(folder).templates == folder / "own"


def test_a_template_that_extends_itself_is_told_what_to_write(folder):
    put(folder, "own/neuron.html", '\n{% extends "neuron.html" %}')
    told = 'own/neuron.html:2: found a template that extends itself by "neuron.html", expected "ours/neuron.html"'
    assert problem(folder, look) == told


def test_templates_that_extend_each_other_are_told(folder):
    put(folder, "own/base.html", '{% extends "ours/index.html" %}')
    put(folder, "own/model.html", '{% extends "ours/model.html" %}')
    told = 'own/base.html:1: found a template that extends itself by "base.html", expected "ours/base.html"'
    assert problem(folder, look) == told


def test_a_template_that_extends_one_that_is_not_there_is_told_before_any_page(folder):
    put(folder, "own/model.html", '{% extends "ours/modle.html" %}{% block main %}{% endblock %}')
    assert problem(folder, look).startswith("own/model.html:1: no template 'ours/modle.html'; nearest: ours/model.html")


def test_a_macro_of_ours_that_the_user_calls_wrongly_is_told_with_the_users_line(folder):
    text = '{% extends "ours/index.html" %}\n{% from "parts.html" import strip %}\n{% block introduction %}\n{{ strip(page) }}'
    put(folder, "own/index.html", text + "{% endblock %}")
    told = problem(folder)
    assert told.startswith("own/index.html:4: 'tiles' is undefined in a IndexPage")


def test_a_mistake_in_a_template_of_ours_is_not_laid_at_the_users_door(folder, monkeypatch):
    put(folder, "own/base.html", '{% extends "ours/base.html" %}')
    renderer = Renderer(sample.sample_atlas(), look(folder))
    with pytest.raises(Exception, match=r"'common' is undefined|no attribute") as caught:
        renderer.html("index.html", page=object())
    assert not isinstance(caught.value, OverrideError)


def test_a_folder_that_is_named_by_a_detour_is_told_of_as_well(tmp_path, monkeypatch):
    (tmp_path / "specs").mkdir()
    put(tmp_path, "specs/atlas.yaml", f"title: t\ntemplates: ../own\n{MODEL}")
    put(tmp_path, "own/index.html", "{{ pagee }}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OverrideError, match=r"^own/index.html:1: 'pagee' is undefined"):
        dict(render_site(sample.sample_atlas(), look(Path("specs"))))


def test_a_template_in_another_encoding_is_named(folder):
    (folder / "own/index.html").write_bytes(b"caf\xe9")
    assert problem(folder, look) == "own/index.html: expected a text file in UTF-8"


def test_every_template_that_nothing_uses_is_named_with_the_nearest(folder):
    put(folder, "own/neurn.html", "x")
    put(folder, "own/.hidden.html", "x")
    put(folder, "own/index.html~", "x")
    told = problem(folder, look)
    assert (
        told
        == "own/neurn.html: found a template that none uses, expected the name of one of ours; nearest: neuron.html, neurons.html, layer.html"
    )


def test_a_template_that_is_included_by_a_name_worked_out_while_rendering_is_not_unused(folder):
    put(folder, "own/base.html", '{% extends "ours/base.html" %}{% block band %}{% include "on-" ~ "top.html" %}{% endblock %}')
    put(folder, "own/on-top.html", "<i>top</i>")
    assert b"<i>top</i>" in built(folder)["index.html"]


def test_all_problems_are_told_at_once_and_before_any_page(folder):
    put(folder, "own/nobody.html", "x")
    put(folder, "own/somebody.html", "x")
    put(folder, "files/_drafts.css", "x")
    with pytest.raises(OverrideError) as caught:
        look(folder)
    assert [line.removeprefix(f"{folder}/").split(":")[0] for line in caught.value.lines] == [
        "own/nobody.html",
        "own/somebody.html",
        "files/_drafts.css",
    ]


# -- static files ---------------------------------------------------------------------------------------------------------


def test_static_files_replace_ours_or_are_added(folder):
    put(folder, "files/layer.js", "mine")
    put(folder, "files/fonts/own.woff2", "font")
    site = built(folder)
    assert site["layer.js"] == b"mine"
    assert site["fonts/own.woff2"] == b"font"
    assert site["atlas.css"] == (beside("static") / "atlas.css").read_bytes()


def test_a_theme_comes_after_ours_so_that_it_need_only_set_what_is_to_change(folder):
    put(folder, "files/theme.css", ":root { --paper: pink }")
    put(folder, "files/fonts/theme.css", "p {}")
    site, ours = built(folder), (beside("static") / "theme.css").read_bytes()
    assert site["theme.css"] == ours + b"\n:root { --paper: pink }"
    assert site["fonts/theme.css"] == b"p {}"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("theem.css", "theme.css"), ("Theme.css", "theme.css"), ("atlas.cs.css", "atlas.css"), ("layers.js", "layer.js")],
)
def test_a_static_file_that_is_misspelt_is_told_with_the_one_that_was_meant(folder, name, meant):
    put(folder, f"files/{name}", "x")
    assert problem(folder, look).endswith(f"; nearest: {meant}")


@pytest.mark.parametrize("name", ["more.css", "logo.svg", "theme-dark.css", "card.css", "figures/theme.css", "plot.js"])
def test_other_static_files_are_added(folder, name):
    put(folder, f"files/{name}", "x")
    assert built(folder)[name] == b"x"


def test_added_files_are_counted(folder):
    put(folder, "files/theme.css", "x")
    put(folder, "files/more.css", "x")
    assert count_files(sample.sample_atlas(), look(folder)) == len(built(folder))


@pytest.mark.parametrize("name", ["_a.css", ".htaccess", "fonts/_b.woff2", "_fonts/a.woff2"])
def test_names_that_hosts_drop_are_refused(folder, name):
    put(folder, f"files/{name}", "x")
    with pytest.raises(OverrideError, match="hosts drop such files"):
        look(folder)


@pytest.mark.parametrize("name", ["index.html", "404.html", "Small/a.css", "families/a.css", "sitemap.xml", "jump.js"])
def test_the_place_of_a_page_is_refused(folder, name):
    put(folder, f"files/{name}", "x")
    with pytest.raises(OverrideError, match="found the place of a page"):
        look(folder)


# -- the spec -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["templates", "static"])
def test_a_folder_that_is_not_there_is_told_with_its_line_and_the_nearest(tmp_path, key):
    (tmp_path / "look").mkdir()
    (tmp_path / "atlas.yaml").write_text(f"title: t\n{key}: lok\n{MODEL}")
    with pytest.raises(SpecError) as caught:
        look(tmp_path)
    (line,) = caught.value.lines
    assert re.match(rf".*atlas\.yaml:2:\d+: {key}: found 'lok', expected a folder.*nearest: look$", line)


def test_a_spec_without_folders_has_our_look(tmp_path):
    (tmp_path / "atlas.yaml").write_text(f"title: t\n{MODEL}")
    assert look(tmp_path) == Look()


# -- what there is to override --------------------------------------------------------------------------------------------


def blocks(name):
    return set(re.findall(r"{% block (\w+)", (beside("templates") / name).read_text("utf-8")))


def test_every_template_is_cut_in_named_blocks():
    whole = {path.name for path in beside("templates").iterdir()} - {
        "parts.html",
        "take.html",
        "alias.html",
        "faces.html",
        "faces-method.html",
        "faces.css",
    }
    pages = {name for name in whole if '{% extends "base.html" %}' in (beside("templates") / name).read_text("utf-8")}
    assert whole - pages == {"base.html", "404-bare.html"}
    assert {name for name in pages if not blocks(name) - {"head", "main"}} == set()


def test_the_blocks_are_listed_for_whoever_overrides_them():
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `([\w-]+\.html)` \|(.*)\|$", text, flags=re.MULTILINE))
    listed = {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in listed.items()}
    assert listed == {path.name: blocks(path.name) for path in beside("templates").iterdir() if blocks(path.name)}
