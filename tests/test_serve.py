"""A site served to this machine: what is answered to which request, and what is built anew when a source changes."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
import torch
import watchfiles

from generator.build import Report
from generator.errors import AtlasError, SpecError
from generator.progress import Progress
from generator.publishing.live import Live, Watcher, run, sources
from generator.publishing.serve import HOST, TYPES, Served, SiteServer, base_of
from generator.spec import load_spec

REPOSITORY = Path(__file__).parents[1]
PAGE = b"<!DOCTYPE html><title>t</title><p>text"
FILES = {
    "index.html": PAGE + b"<body><p>first</body></html>",
    "404.html": PAGE + b"missing",
    "atlas.js": b"1",
    "atlas.css": b"p {}",
    "m/index.html": PAGE,
    "m/layer.json": b"{}",
    "m/faces.png": b"\x89PNG",
    "m/a b.html": PAGE,
    ".nojekyll": b"",
}


@pytest.fixture
def site(tmp_path):
    """A site in a folder, under a sub-path, with a file beside it that is nobody's business."""
    for name, content in FILES.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "secret.txt").write_text("secret")
    return Served(tmp_path / "site", "/atlas/", "7")


# -- answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "kind", "name"),
    [
        ("/atlas/", "text/html; charset=utf-8", "index.html"),
        ("/atlas/m/", "text/html; charset=utf-8", "m/index.html"),
        ("/atlas/m/a%20b.html?x=1", "text/html; charset=utf-8", "m/a b.html"),
        ("/atlas/atlas.js", "text/javascript; charset=utf-8", "atlas.js"),
        ("/atlas/atlas.css?v=2", "text/css; charset=utf-8", "atlas.css"),
        ("/atlas/m/layer.json", "application/json; charset=utf-8", "m/layer.json"),
        ("/atlas/m/faces.png", "image/png", "m/faces.png"),
    ],
)
def test_files_are_answered_with_their_types(site, target, kind, name):
    answer = site.answer(target)
    assert (answer.status, answer.type) == (200, kind)
    plain = re.sub(rb'<script src="/atlas/~reload.js" data-edition="7"></script>\n', b"", answer.body)
    assert plain == FILES[name]


def test_every_file_that_a_site_is_made_of_has_a_type():
    made = {Path(path).suffix for path in (REPOSITORY / "static").iterdir()} | {".html", ".png", ".json", ".xml"}
    assert made <= set(TYPES)


@pytest.mark.parametrize(
    "target",
    [
        "/atlas/nowhere.html",
        "/atlas/m/deep/er/nowhere.html",
        "/atlas/m/index.html/",
        "/elsewhere/",
        "/atlas/.nojekyll",
        "/atlas/../secret.txt",
        "/atlas/%2e%2e/secret.txt",
        "/atlas/m/..%2f..%2fsecret.txt",
        "/atlas/m\\..\\..\\secret.txt",
        "/atlas//etc/passwd",
        "/atlas/%00",
        "/atlas/C:/x",
        pytest.param("/atlas/" + "x" * 5000, id="long"),
    ],
)
def test_what_is_not_in_the_site_is_answered_with_its_own_page(site, target):
    answer = site.answer(target)
    assert answer.status == 404
    assert answer.body.startswith(FILES["404.html"])


def test_a_link_that_leads_out_of_the_site_is_not_followed(site):
    (site.folder / "out.txt").symlink_to(site.folder.parent / "secret.txt")
    assert site.answer("/atlas/out.txt").status == 404


def test_a_folder_is_never_listed(site):
    (site.folder / "empty").mkdir()
    assert site.answer("/atlas/empty/").status == 404
    answer = site.answer("/atlas/m")
    assert (answer.status, answer.location) == (301, "/atlas/m/")


@pytest.mark.parametrize("target", ["/", "/atlas"])
def test_the_ways_to_the_sub_path_lead_there(site, target):
    answer = site.answer(target)
    assert (answer.status, answer.location) == (302, "/atlas/")


def test_a_site_at_the_root_of_its_host_is_served_there(site):
    served = Served(site.folder, "/", "1")
    assert served.answer("/").status == 200
    assert served.answer("/m").location == "/m/"
    assert served.answer("//elsewhere.example/m").status == 404


def test_a_site_without_a_page_for_missing_addresses_has_a_plain_one(site):
    (site.folder / "404.html").unlink()
    assert site.answer("/atlas/x").status == 404


@pytest.mark.parametrize(
    ("site_url", "base"),
    [
        ("", "/"),
        ("https://a.org/", "/"),
        ("https://a.org/atlas/", "/atlas/"),
        ("https://a.org/an%20atlas/v1/", "/an atlas/v1/"),
    ],
)
def test_the_path_is_that_of_the_published_site(site_url, base):
    assert base_of(site_url) == base


def test_pages_alone_get_the_script_that_loads_them_anew(site):
    script = b'<script src="/atlas/~reload.js" data-edition="7"></script>\n'
    assert site.answer("/atlas/").body == FILES["index.html"].replace(b"</body>", script + b"</body>")
    assert site.answer("/atlas/m/").body == FILES["m/index.html"] + script
    assert b"/atlas/~edition" in site.answer("/atlas/~reload.js").body
    assert site.answer("/atlas/~edition").body == b"7"
    assert (site.folder / "index.html").read_bytes() == FILES["index.html"]


def test_a_mistake_is_told_to_the_pages_that_are_open_until_it_is_mended(site):
    told = replace(site, mistake="a.html:1: <b>")
    assert told.answer("/atlas/~edition").body == b"7\na.html:1: <b>"
    assert told.answer("/atlas/").body == site.answer("/atlas/").body


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to read it")
def test_the_script_that_is_added_can_be_read(site):
    script = site.answer("/atlas/~reload.js").body
    subprocess.run(["node", "--check", "-"], input=script, check=True)


# -- the server -----------------------------------------------------------------------------------------------------------


@contextmanager
def running(site):
    with SiteServer(site, 0) as server, server.running():
        yield server


def ask(server, target, method="GET"):
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)
    connection.putrequest(method, target)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_server_answers_this_machine_alone(site):
    with running(site) as server:
        assert server.server_address[0] == HOST == "127.0.0.1"
        assert server.address == f"http://127.0.0.1:{server.server_address[1]}/atlas/"
        answer, body = ask(server, "/atlas/atlas.js")
        assert (answer.status, body, answer.getheader("Cache-Control")) == (200, b"1", "no-store")
        answer, body = ask(server, "/atlas/../../secret.txt")
        assert answer.status == 404


def test_heads_are_answered_without_a_body_and_nothing_else_is(site):
    with running(site) as server:
        answer, body = ask(server, "/atlas/atlas.js", "HEAD")
        assert (answer.status, answer.getheader("Content-Length"), body) == (200, "1", b"")
        assert ask(server, "/atlas/atlas.js", "POST")[0].status == 501


def test_a_connection_that_stays_open_does_not_keep_the_server_from_ending(site):
    with running(site) as server:
        connection = http.client.HTTPConnection(*server.server_address, timeout=10)
        connection.request("GET", "/atlas/")
        connection.getresponse().read()
        began = time.monotonic()
    assert time.monotonic() - began < 5
    connection.close()


def test_a_port_that_is_taken_is_told(site):
    with running(site) as server, pytest.raises(AtlasError, match=r"port \d+: in use; name another"):
        SiteServer(site, server.server_address[1])


# -- following the sources ------------------------------------------------------------------------------------------------

SPEC = "title: first\nsite_url: https://a.org/atlas/\nnotes: notes\ntemplates: own\nmodels:\n  - {name: small, source: 'nets:make', weights: w.pt, input_size: 16}\n"
NETS = "from torch import nn\n\n\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))\n"


@pytest.fixture
def project(tmp_path):
    """A spec with all that it names."""
    (tmp_path / "atlas.yaml").write_text(SPEC)
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "notes/small").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    save_weights(tmp_path, 1.0)
    return Live(tmp_path / "atlas.yaml", load_spec(tmp_path / "atlas.yaml"), Progress(quiet=True))


def save_weights(folder, value):
    state = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "2.weight": (2, 4, 3, 3), "2.bias": (2,)}
    torch.save({name: torch.full(shape, value) for name, shape in state.items()}, folder / "w.pt")


def made(live):
    """What of the models is worked out to bring the site up to date."""
    report = Report()
    live.update(report)
    return dict(report.made)


def edit(live, name, text):
    (live.path.parent / name).write_text(text)


def title(live):
    return re.search(r"<title>(.*?)</title>", (live.target / "index.html").read_text())[1]


def test_the_sources_are_all_that_a_spec_names(project):
    found = sources(project.spec, project.path)
    folder = project.path.parent.resolve()
    assert {path.name for path in found.words} == {"atlas.yaml"}
    assert {folder / "notes", folder / "own"} < found.folders
    assert found.weights == {folder / "w.pt", folder / "nets.py"}


def test_words_and_looks_are_taken_up_without_working_the_models_out_again(project):
    assert made(project)["weights"] == 3
    edit(project, "atlas.yaml", SPEC.replace("first", "second"))
    assert made(project) == {}
    assert title(project) == "second"
    edit(project, "own/index.html", '{% extends "ours/index.html" %}{% block title %}third{% endblock %}')
    assert made(project) == {}
    assert title(project) == "third"
    edit(project, "notes/small/2.md", "a note")
    assert made(project) == {}
    assert "a note" in (project.target / "small/2/index.html").read_text()


def test_weights_are_worked_out_anew_where_they_changed(project):
    project.update()
    save_weights(project.path.parent, 2.0)
    assert made(project)["weights"] == 2  # the input has none


def test_a_mistake_leaves_the_site_and_the_change_of_weights_is_not_forgotten(project):
    project.update()
    edit(project, "atlas.yaml", SPEC + "colour: red\n")
    save_weights(project.path.parent, 2.0)
    with pytest.raises(SpecError, match="unknown key"):
        project.update()
    assert title(project) == "first"
    edit(project, "atlas.yaml", SPEC)
    assert made(project)["weights"] == 2


def test_a_template_that_breaks_leaves_the_site(project):
    project.update()
    edit(project, "own/index.html", "{{ colour }}")
    with pytest.raises(AtlasError, match=r"own/index.html:1: 'colour' is undefined"):
        project.update()
    assert title(project) == "first"


@pytest.fixture
def watched(monkeypatch):
    """The folders that are watched by now, a watch at a time: what changes before is not seen."""
    begun = []

    def telling(*folders, **settings):
        for count, changes in enumerate(watchfiles.watch(*folders, rust_timeout=100, yield_on_timeout=True, **settings)):
            if count == 0:
                begun.append(folders)
            if changes:
                yield changes

    monkeypatch.setattr("generator.publishing.live.watch", telling)
    return begun


@contextmanager
def following(live, watched):
    """The loop of the command, in a thread of its own."""
    live.update()
    stop = Event()
    with running(live.served()) as server:
        thread = Thread(target=run, args=(live, server, stop))
        thread.start()
        try:
            wait_for(lambda: len(watched) == 2)  # what is a source, and what stands beside one
            yield server
        finally:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()


def wait_for(what):
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.05)


def test_a_change_on_the_disk_reaches_the_pages_that_are_open(project, watched):
    with following(project, watched) as server:
        before = ask(server, "/atlas/~edition")[1]
        edit(project, "notes/small/2.md", "a note")
        wait_for(lambda: ask(server, "/atlas/~edition")[1] != before)
        fresh = project.path.with_suffix(".new")  # as editors save
        fresh.write_text(SPEC.replace("first", "second").replace("/atlas/", "/moved/"))
        fresh.replace(project.path)
        wait_for(lambda: server.address.endswith("/moved/"))
        assert b"<title>second</title>" in ask(server, "/moved/")[1]


def test_a_mistake_on_the_disk_is_told_in_its_line_and_the_old_site_stays(project, watched, capfd):
    told = []
    with following(project, watched) as server:
        edit(project, "atlas.yaml", SPEC + "colour: red\n")
        wait_for(lambda: told.append(capfd.readouterr().err) or "colour" in "".join(told))
        (line,) = "".join(told).splitlines()
        assert re.search(r"atlas\.yaml:7:1: colour: unknown key", line)
        assert ask(server, "/atlas/")[0].status == 200
        wait_for(lambda: b"colour: unknown key" in ask(server, "/atlas/~edition")[1])
        edit(project, "atlas.yaml", SPEC.replace("first", "mended"))
        wait_for(lambda: b"<title>mended</title>" in ask(server, "/atlas/")[1])
        wait_for(lambda: b"colour" not in ask(server, "/atlas/~edition")[1])


def test_a_folder_that_comes_later_is_watched_too(tmp_path, watched):
    watcher = Watcher()
    late = tmp_path.resolve() / "late"
    watcher.follow(frozenset({late}))
    wait_for(lambda: len(watched) == 1)
    late.mkdir()
    assert watcher.next(60) == {late}
    watcher.follow(frozenset({late}))
    wait_for(lambda: len(watched) == 3)
    (late / "a.md").write_text("a")
    assert watcher.next(60) == {late / "a.md"}
    watcher.end()
    assert watcher.next(0.1) == frozenset()


# -- the command ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_the_command_builds_serves_and_ends_at_an_interrupt(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "atlas.yaml").write_text("title: t\nmodels:\n  - {name: m, source: 'nets:make', input_size: 16}\n")
    command = [sys.executable, "-m", "generator", "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "ATLAS_JOBS": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/ ", process.stdout.readline())[1])
        connection = http.client.HTTPConnection(HOST, port, timeout=10)
        connection.request("GET", "/m/0/index.html")
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert (tmp_path / "site/index.html").is_file()
