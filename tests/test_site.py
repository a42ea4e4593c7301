import json
import os
import subprocess
import sys

import pytest

from generator.errors import SPEC
from generator.site import MARKER, SiteError, Summary, prepare_target, write_site

OLD = [("index.html", b"old"), ("m/a/0.html", b"old 0"), ("m/a/1.html", b"old 1")]
NEW = [("index.html", b"new"), ("m/b/0.html", b"new 0"), ("atlas.css", b"x")]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def held(folder):
    found = files(folder)
    found.pop(MARKER)
    return found


def beside(target):
    return [path.name for path in target.parent.iterdir() if path != target]


def test_a_site_is_written_and_counted(tmp_path):
    seen = []
    summary = write_site(NEW, tmp_path / "deep" / "site", seen.append)
    assert summary == Summary(files=3, bytes=9, pages=2)
    assert held(tmp_path / "deep" / "site") == dict(NEW)
    assert seen == [path for path, _ in NEW]


def test_a_new_site_takes_the_place_of_the_old(tmp_path):
    write_site(OLD, tmp_path / "site")
    write_site(NEW, tmp_path / "site")
    assert held(tmp_path / "site") == dict(NEW)
    assert beside(tmp_path / "site") == []


def test_two_builds_leave_the_same_bytes(tmp_path):
    write_site(NEW, tmp_path / "one")
    write_site(OLD, tmp_path / "two")
    write_site(NEW, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "site").mkdir()
    write_site(NEW, tmp_path / "site")
    assert held(tmp_path / "site") == dict(NEW)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_early_end_leaves_the_old_site_whole_and_nothing_beside(tmp_path, error):
    write_site(OLD, tmp_path / "site")
    before = files(tmp_path / "site")

    def breaking():
        yield from NEW[:2]
        raise error

    with pytest.raises(error):
        write_site(breaking(), tmp_path / "site")
    assert files(tmp_path / "site") == before
    assert beside(tmp_path / "site") == []


def test_a_rename_that_fails_leaves_the_old_site_whole(tmp_path, monkeypatch):
    write_site(OLD, tmp_path / "site")
    before = files(tmp_path / "site")
    rename = type(tmp_path).rename

    def refusing(self, to):
        if ".atlas-new-" in self.name:
            raise OSError("no")
        return rename(self, to)

    monkeypatch.setattr(type(tmp_path), "rename", refusing)
    with pytest.raises(OSError, match="no"):
        write_site(NEW, tmp_path / "site")
    assert files(tmp_path / "site") == before
    assert beside(tmp_path / "site") == []


def test_a_folder_of_someone_else_is_refused_in_one_line(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for act in (lambda: prepare_target(tmp_path), lambda: write_site(NEW, tmp_path)):
        with pytest.raises(SiteError) as caught:
            act()
        assert caught.value.exit_code == SPEC
        assert len(caught.value.lines) == 1
        assert "\n" not in caught.value.lines[0]
    assert files(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "site").write_text("a file")
    with pytest.raises(SiteError, match="is a file"):
        write_site(NEW, tmp_path / "site")


@pytest.mark.parametrize(
    "marker", ["", "[]", "{}", '{"made_by": "someone", "files": {}}', '{"made_by": "weight-atlas", "files": 3}']
)
def test_a_marker_that_is_not_ours_does_not_open_a_folder(tmp_path, marker):
    (tmp_path / MARKER).write_text(marker)
    with pytest.raises(SiteError):
        prepare_target(tmp_path)


def test_files_that_someone_put_into_the_site_move_along(tmp_path):
    site = tmp_path / "site"
    write_site(OLD, site)
    (site / "CNAME").write_text("example.org")
    (site / ".git").mkdir()
    (site / ".git" / "HEAD").write_text("ref")
    (site / "m" / "a" / "notes.txt").write_text("mine")
    write_site(NEW, site)
    kept = {"CNAME": b"example.org", ".git/HEAD": b"ref", "m/a/notes.txt": b"mine"}
    assert held(site) == {**dict(NEW), **kept}
    assert beside(site) == []
    write_site(OLD, site)
    assert held(site) == {**dict(OLD), **kept}


def test_a_file_of_someone_else_where_a_page_goes_is_refused(tmp_path):
    site = tmp_path / "site"
    write_site(OLD, site)
    (site / "atlas.css").write_text("mine")
    before = files(site)
    with pytest.raises(SiteError, match=r"atlas\.css was not made by this program"):
        write_site(NEW, site)
    assert files(site) == before
    assert beside(site) == []


def test_a_marker_that_names_files_outside_removes_none_of_them(tmp_path):
    site = tmp_path / "site"
    write_site(OLD, site)
    (tmp_path / "precious").write_text("keep")
    marker = json.loads((site / MARKER).read_text())
    marker["files"][".."] = ["precious"]
    marker["files"][str(tmp_path)] = ["precious"]
    (site / MARKER).write_text(json.dumps(marker))
    write_site(NEW, site)
    assert (tmp_path / "precious").read_text() == "keep"


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from generator.site import write_site
def dying():
    yield "index.html", b"half"
    os.kill(os.getpid(), signal.SIGKILL)
    yield "never.html", b""
write_site(dying(), Path(sys.argv[2]))
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_what_a_killed_build_left_is_removed_by_the_next(tmp_path, request):
    site = tmp_path / "site"
    write_site(OLD, site)
    before = files(site)
    subprocess.run([sys.executable, "-c", KILLED, str(request.config.rootpath), str(site)], check=False)
    assert files(site) == before
    assert len(beside(site)) == 1
    write_site(NEW, site)
    assert held(site) == dict(NEW)
    assert beside(site) == []


def test_a_folder_that_only_looks_like_a_leftover_is_left_alone(tmp_path):
    mine = tmp_path / "site.atlas-new-mine"
    mine.mkdir()
    (mine / "index.html").write_text("mine")
    write_site(NEW, tmp_path / "site")
    assert files(mine) == {"index.html": b"mine"}


def test_a_build_that_still_runs_is_left_alone(tmp_path):
    other = tmp_path / "site.atlas-new-other"
    other.mkdir()
    (other / MARKER).write_text(json.dumps({"made_by": "weight-atlas", "writer": os.getppid(), "files": {}}))
    write_site(NEW, tmp_path / "site")
    assert other.exists()


def test_a_site_that_a_kill_left_beside_its_place_is_put_back(tmp_path):
    site = tmp_path / "site"
    write_site(OLD, site)
    before = files(site)
    site.rename(tmp_path / "site.atlas-old-0")

    def breaking():
        yield NEW[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_site(breaking(), site)
    assert files(site) == before
    assert beside(site) == []


def test_guests_of_a_swap_that_was_cut_short_are_not_lost(tmp_path):
    write_site(NEW, tmp_path / "site")
    write_site(OLD, tmp_path / "site.atlas-old-0")
    (tmp_path / "site.atlas-old-0" / "CNAME").write_text("example.org")
    write_site(NEW, tmp_path / "site")
    assert held(tmp_path / "site") == {**dict(NEW), "CNAME": b"example.org"}
    assert beside(tmp_path / "site") == []


@pytest.mark.parametrize("name", ["_a.html", ".a", "m/_b/0.html", "../a", "/a", "a//b", MARKER, "a\\b"])
def test_names_that_hosts_drop_or_that_leave_the_folder_are_our_mistake(tmp_path, name):
    with pytest.raises(ValueError, match="cannot hold"):
        write_site([(name, b"")], tmp_path / "site")
    assert not (tmp_path / "site").exists()
    assert beside(tmp_path / "site") == []


def test_a_path_that_comes_twice_is_our_mistake(tmp_path):
    with pytest.raises(FileExistsError):
        write_site([NEW[0], NEW[0]], tmp_path / "site")
    assert list(tmp_path.iterdir()) == []
