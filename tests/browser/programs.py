"""Programs that the checks need beside Python: where they are, and their installation where it may be done without asking.

`python tests/browser/programs.py chromium firefox ...` installs, as root where there is an apt-get, Debian's package of
each that is missing. It says what it does, and does not fail: what needs a program says itself that it is not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

NAMES = {  # names on the PATH, the first that is there
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "firefox": ("firefox-esr", "firefox"),
    "java": ("java",),
    "npm": ("npm",),
}
PACKAGES = {"chromium": "chromium", "firefox": "firefox-esr", "java": "default-jre-headless", "npm": "npm"}  # Debian's
CHROMIUM_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def find(program: str) -> str:
    """The path of a program: what ATLAS_CHROMIUM, ATLAS_FIREFOX and so on name, or one on the PATH; '' if there is none."""
    return os.environ.get(f"ATLAS_{program.upper()}") or next(filter(None, map(shutil.which, NAMES[program])), "")


def find_chromium(playwright: Any) -> str:
    """As `find`, else the Chromium that `playwright install` fetched."""
    fetched = playwright.chromium.executable_path
    return find("chromium") or (fetched if Path(fetched).is_file() else "")


def missing(program: str) -> str:
    """What to say where a program is not there."""
    looked = f"looked for {', '.join(NAMES[program])}; ATLAS_{program.upper()} names another"
    return f"no {program} was found ({looked}); on Debian: apt install {PACKAGES[program]}"


def may_install() -> bool:
    """Whether Debian's packages can be installed: by root, with apt-get."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(programs: list[str]) -> None:
    """Install what is missing of these, or say what is."""
    absent = [program for program in programs if not find(program)]
    if absent and may_install():
        packages = [PACKAGES[program] for program in absent]
        print(f"Installing Debian's {', '.join(packages)} for the checks in browsers: a minute or two.", flush=True)
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL, "check": False}
        subprocess.run(["apt-get", "update", "-q"], **quiet)
        subprocess.run(["apt-get", "install", "-qy", "--no-install-recommends", *packages], **quiet)
    for program in absent:
        if not find(program):
            print(f"{missing(program)}. Going on without.", flush=True)


if __name__ == "__main__":
    install(sys.argv[1:])
