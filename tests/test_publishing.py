"""What hosts and those who link to a site need: 404 page, sitemap, cards, the workflow; and what hosts refuse."""

import io
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
import sample_facts as sample
import yaml
from click.testing import CliRunner
from PIL import Image

from generator.addresses import FLAT
from generator.commands.init import init
from generator.errors import SPEC
from generator.pages.card import arrangement, card
from generator.publishing.sitemap import count_sitemaps, sitemaps
from generator.publishing.workflow import PLACE, published_at
from generator.render import count_files, render_site
from generator.site import write_site
from generator.spec import load_spec

URL = "https://example.org/the/atlas/"
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


@pytest.fixture(scope="module")
def site():
    """The files of the sample atlas without an address."""
    return dict(render_site(sample.sample_atlas()))


@pytest.fixture(scope="module")
def published():
    """The same with an address."""
    return dict(render_site(sample.atlas(sample.sample_model(), site_url=URL)))


def metas(page):
    return dict(re.findall(r'<meta (?:property|name)="?([\w:]+)"? content="?([^">]*)"?>', page.decode()))


def locations(content):
    return [each.text for each in ElementTree.fromstring(content).iter(f"{SITEMAP}loc")]


# -- files that hosts look at ---------------------------------------------------------------------------------------------


def test_files_are_counted_with_and_without_an_address(site, published):
    assert count_files(sample.sample_atlas()) == len(site)
    assert count_files(sample.atlas(sample.sample_model(), site_url=URL)) == len(published)


def test_a_site_can_be_published_from_a_branch(site, tmp_path):
    assert site[".nojekyll"] == b""
    write_site(iter(site.items()), tmp_path / "site")
    assert (tmp_path / "site/.nojekyll").is_file()


def test_the_page_for_missing_addresses_works_in_every_folder(published):
    page = published["404.html"].decode()
    addresses = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert len(addresses) > 3
    for address in addresses:
        assert address.startswith(("#", "/the/atlas/"))
        assert address.startswith("#") or address.removeprefix("/the/atlas/") in published
    assert "canonical" not in page


def test_without_an_address_the_page_for_missing_ones_needs_nothing_and_promises_nothing(site):
    page = site["404.html"].decode().replace('<link rel="icon" href="data:,">', "")  # which spares hosts a request
    assert not re.search(r"href=|src=|url\(|<script", page)
    assert "shorten" in page


# -- sitemap --------------------------------------------------------------------------------------------------------------


def test_the_sitemap_lists_every_page_at_its_own_address(published):
    found = locations(published["sitemap.xml"])
    assert len(found) == len(set(found))
    canonical = {
        re.search(rb'rel="canonical" href="([^"]*)"', page) for path, page in published.items() if path.endswith(".html")
    }
    assert set(found) == {each[1].decode() for each in canonical if each}
    assert f"{URL}small/mixed/0.html" in found
    assert f"{URL}small/mixed.a/0.html" not in found  # an alias
    assert f"{URL}404.html" not in found


def test_without_an_address_there_is_no_sitemap_and_nothing_to_show_beside_links(site):
    assert not [path for path in site if path.startswith("sitemap") or path.endswith("card.png")]
    assert not metas(site["small/mixed/0.html"]).keys() & {"og:title", "og:image", "twitter:card"}


@pytest.mark.parametrize(("pages", "files"), [(0, 1), (1, 1), (50_000, 1), (50_001, 3), (100_001, 4)])
def test_a_sitemap_is_split_where_it_is_too_long(pages, files):
    paths = [f"m/{number}.html" for number in range(pages)]
    made = dict(sitemaps(URL, paths))
    assert len(made) == files == count_sitemaps(URL, pages)
    index = locations(made["sitemap.xml"])
    if files > 1:
        assert [each.removeprefix(URL) for each in index] == [name for name in made if name != "sitemap.xml"]
        index = [each for name in made if name != "sitemap.xml" for each in locations(made[name])]
    assert index == [URL + path for path in paths]
    assert max(len(locations(content)) for content in made.values()) <= 50_000
    assert count_sitemaps("", pages) == 0 == len(dict(sitemaps("", paths)))


def test_addresses_in_a_sitemap_are_escaped():
    (content,) = dict(sitemaps("https://example.org/a&b/", ["x.html"])).values()
    assert locations(content) == ["https://example.org/a&b/x.html"]


# -- cards ----------------------------------------------------------------------------------------------------------------


def test_every_page_tells_what_to_show_beside_a_link_to_it(published):
    for path, page in published.items():
        if path.endswith(".html") and b"refresh" not in page and path != "404.html":
            said = metas(page)
            assert said["og:title"], path
            if "og:image" in said:
                assert urlsplit(said["og:image"]).scheme == "https"
                assert said["og:image"].removeprefix(URL) in published, path
                assert said["twitter:card"] == "summary_large_image"


@pytest.mark.parametrize("path", ["index.html", "small/index.html", "small/mixed/index.html", "small/mixed/0.html"])
def test_a_page_has_the_card_of_its_layer_or_one_that_stands_for_its_model(published, path):
    layer = "mixed" if "mixed" in path else "~_stem"
    assert metas(published[path])["og:image"] == f"{URL}small/{layer}/card.png"


def test_every_layer_with_faces_has_a_card(published):
    layers = {path.rpartition("/")[0] for path in published if path.endswith("/faces.png")}
    assert {path.rpartition("/")[0] for path in published if path.endswith("/card.png")} == layers


def test_a_card_has_the_size_that_is_asked_for_and_few_bytes(published):
    for path, content in published.items():
        if path.endswith("card.png"):
            picture = Image.open(io.BytesIO(content))
            assert (picture.size, picture.mode) == ((1200, 630), "P")
            assert len(content) < 40_000


def random_tiles(count, rows, cols):
    return np.random.default_rng(0).integers(0, 256, (count, rows, cols, 3)).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 26, 27, 2048])
@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 3), (7, 5), (11, 11), (64, 64), (300, 300), (1000, 10), (10, 1000), (2000, 2000)]
)
def test_faces_fit_their_card_in_full_rows(count, shape):
    tiles = np.zeros((count, *shape, 3), np.uint8)
    shown, scale, columns = arrangement(tiles)
    lines = -(-len(shown) // columns)
    assert 1 <= len(shown) <= count
    assert len(shown) == lines * columns or lines == 1
    assert lines * (shown.shape[1] * scale + 10) - 10 <= 354
    assert columns * (shown.shape[2] * scale + 10) - 10 <= 1080
    if count <= 4 and max(shape) < 100:
        assert len(shown) == count


def test_a_card_shows_the_faces_in_their_colours_enlarged_whole():
    tiles = np.zeros((3, 1, 2, 3), np.uint8)
    tiles[0, 0, 0], tiles[2, 0, 1] = (255, 0, 0), (0, 0, 255)
    pixels = np.asarray(Image.open(io.BytesIO(card(tiles, "conv", "m · 3 neurons"))).convert("RGB"))
    red, blue = (pixels == (255, 0, 0)).all(axis=2), (pixels == (0, 0, 255)).all(axis=2)
    assert red.sum() == blue.sum() == 176**2  # the scale at which three of two columns stand side by side
    assert red[216, 60]
    assert (pixels[0, 0] == (0xFB, 0xFA, 0xF6)).all()


def test_the_name_on_a_card_is_written_however_long_it_is():
    long = card(random_tiles(5, 3, 3), "features." * 30 + "conv", "m")
    short = card(random_tiles(5, 3, 3), "conv", "m")
    for content in (long, short):
        above = np.asarray(Image.open(io.BytesIO(content)))[:210]
        assert above.any()
        assert not above[:, :40].any()
        assert not above[:, 1170:].any()


def test_two_cards_of_the_same_faces_are_the_same_bytes():
    tiles = random_tiles(40, 7, 7)
    assert card(tiles, "conv", "m") == card(tiles.copy(), "conv", "m")


# -- large layers ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large():
    """Paths of the files of an atlas with a layer of 4,096 neurons."""
    weights = sample.weights("input", "wide", np.random.default_rng(0).standard_normal((4096, 3, 1, 1)))
    every = sample.pairs([weights])
    layers = (
        sample.facts_of(sample.layer("input", "input", 3), every),
        sample.facts_of(sample.layer("wide", "Conv2d", 4096), every),
    )
    model = replace(sample.sample_model(), layers=layers)
    return [path for path, _ in render_site(sample.atlas(model, site_url=URL))]


def test_no_folder_holds_more_than_3000_entries(large):
    assert FLAT < 4096
    assert len(large) > 4096
    entries = Counter(
        parent for path in {step for path in large for step in steps(path)} for parent in [path.rpartition("/")[0]]
    )
    assert max(entries.values()) <= 3000


def steps(path):
    """A path and every folder on the way to it."""
    parts = path.split("/")
    return ["/".join(parts[: at + 1]) for at in range(len(parts))]


def test_no_name_is_one_that_hosts_drop(large, published):
    names = {name for path in (*large, *published) for name in path.split("/")}
    assert {name for name in names if name[0] in "._"} == {".nojekyll"}


# -- the workflow ---------------------------------------------------------------------------------------------------------

REMOTE = '[core]\n\tbare = false\n[remote "origin"]\n\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a spec in a folder of it."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/trunk\n")
    (tmp_path / ".git/config").write_text(REMOTE.format(url="git@github.com:Some-One/Early-Vision.git"))
    (tmp_path / "my nets").mkdir()
    (tmp_path / "my nets/atlas.yaml").write_text("title: t\nmodels:\n  - {name: one, source: bundled}\n")
    monkeypatch.chdir(tmp_path / "my nets")
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(init, [*arguments], standalone_mode=False)


def test_the_workflow_builds_checks_and_publishes_with_no_more_rights_than_it_needs(repository):
    assert call("--github-pages").exception is None
    said = yaml.safe_load((repository / PLACE).read_text())
    assert said[True]["push"]["branches"] == ["trunk"]  # YAML 1.1 takes `on` for a truth value
    assert said["permissions"] == {"contents": "read"}
    assert said["concurrency"]["group"] == "pages"
    build, deploy = said["jobs"]["build"], said["jobs"]["deploy"]
    assert "permissions" not in build
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}
    assert deploy["needs"] == "build"
    used = [step["uses"] for job in (build, deploy) for step in job["steps"] if "uses" in step]
    assert [each.partition("@")[0] for each in used] == [
        "actions/checkout",
        "actions/setup-python",
        "actions/upload-pages-artifact",
        "actions/deploy-pages",
    ]
    assert all(re.fullmatch(r"v\d+", each.partition("@")[2]) for each in used)
    runs = [step["run"] for step in build["steps"] if "run" in step]
    assert "atlas build 'my nets/atlas.yaml' -o \"$RUNNER_TEMP/site\"" in runs
    assert build["steps"][-1]["with"]["path"] == "${{ runner.temp }}/site"


def test_the_workflow_says_in_one_place_where_the_generator_comes_from_and_stops_while_it_does_not(repository):
    said = CliRunner().invoke(init, ["--github-pages"]).output
    assert f"in {PLACE}: GENERATOR: " in said
    empty = yaml.safe_load((repository / PLACE).read_text())
    assert empty["env"] == {"GENERATOR": ""}
    first, *others = empty["jobs"]["build"]["steps"]
    assert first["if"] == "env.GENERATOR == ''"
    assert first["run"].endswith("exit 1\n")
    assert 'pip install "$GENERATOR"' in [step.get("run") for step in others]
    where = 'git+https://github.com/me/it@v1#egg="a"'
    said = CliRunner().invoke(init, ["--github-pages", "--force", "--generator", where]).output
    assert "GENERATOR" not in said
    assert yaml.safe_load((repository / PLACE).read_text())["env"] == {"GENERATOR": where}


def test_all_that_the_spec_needs_is_named_to_be_committed(repository):
    for name in ("words.yaml", "nets.py", "w.pth"):
        Path(name).write_text("")
    for name in ("notes", "own", "files"):
        Path(name).mkdir()
    Path("atlas.yaml").write_text(
        "title: t\nfamilies: words.yaml\nnotes: ./notes\ntemplates: own\nstatic: files\noutput: {folder: out/web}\n"
        "models:\n  - {name: one, source: 'nets:make', weights: w.pth}\n  - {name: two, source: 'nets:other'}\n"
    )
    said = CliRunner().invoke(init, ["--github-pages"]).output
    assert f"commit atlas.yaml, {PLACE}, words.yaml, notes, own, files, w.pth, nets.py, and push" in said
    assert "a line 'out/web/' in .gitignore" in said
    assert "100 MB" in said


def test_what_is_left_to_do_is_told_and_the_spec_stays(repository):
    before = Path("atlas.yaml").read_text()
    said = CliRunner().invoke(init, ["--github-pages"]).output
    assert "site_url: https://some-one.github.io/Early-Vision/" in said
    assert "Source: GitHub Actions" in said
    assert Path("atlas.yaml").read_text() == before


def test_an_address_that_is_not_the_one_of_the_repository_is_told(repository):
    Path("atlas.yaml").write_text("title: t\nsite_url: https://a.org/\nmodels:\n  - {name: one, source: bundled}\n")
    assert "publishes at https://some-one.github.io/Early-Vision/" in CliRunner().invoke(init, ["--github-pages"]).output
    Path("atlas.yaml").write_text(
        "title: t\nsite_url: https://some-one.github.io/Early-Vision/\nmodels:\n  - {name: one, source: bundled}\n"
    )
    assert "site_url" not in CliRunner().invoke(init, ["--github-pages", "--force"]).output


def test_a_workflow_that_is_there_is_not_overwritten_unless_told(repository):
    (repository / PLACE).parent.mkdir(parents=True)
    (repository / PLACE).write_text("mine")
    error = call("--github-pages").exception
    assert error.exit_code == SPEC
    assert "is there already; --force overwrites it" in str(error)
    assert (repository / PLACE).read_text() == "mine"
    assert call("--github-pages", "--force").exception is None
    assert (repository / PLACE).read_text() != "mine"


def test_a_spec_is_written_where_there_is_none(repository):
    Path("atlas.yaml").unlink()
    assert call("--github-pages").exception is None
    assert load_spec("atlas.yaml").models[0].source == "bundled"
    assert (repository / PLACE).is_file()


def test_outside_of_a_repository_the_workflow_is_put_beside_the_spec_and_that_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "atlas.yaml").write_text("title: t\nmodels:\n  - {name: one, source: bundled}\n")
    said = CliRunner().invoke(init, ["--github-pages"]).output
    assert "is in no git repository" in said
    assert "https://OWNER.github.io/REPOSITORY/" in said
    assert (tmp_path / PLACE).is_file()


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://github.com/me/atlas", "https://me.github.io/atlas/"),
        ("https://github.com/Me/me.github.io.git", "https://me.github.io/"),
        ("git@github.com:me/a.b.git", "https://me.github.io/a.b/"),
        ("https://gitlab.com/me/atlas.git", ""),
        ("/srv/git/atlas", ""),
    ],
)
def test_where_a_repository_is_published_is_known_from_its_remote(tmp_path, url, where):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text(REMOTE.format(url=url))
    assert published_at(tmp_path) == where
    assert published_at(None) == ""
