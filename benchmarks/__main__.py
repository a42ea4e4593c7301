"""Every benchmark after the other, then one table of all figures beside their goals.

python benchmarks [NAME ...] [--json FILE]

Each script of this folder is a process of its own and prints as it goes; those that write figures are joined into the table and
the JSON file (benchmarks/results.json unless given). A goal is `<= 5` or `>= 300`, or a number, which is not to be exceeded
unless the figure says `more`; a figure that misses its goal is marked. Exit code 1 where a script failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LONG = ("torchvision_models", "models")  # only where they are named: many networks


def scripts() -> list[str]:
    """The names of all benchmarks but the long ones."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in ("__main__", *LONG))


def run(name: str, folder: Path) -> tuple[list[dict[str, Any]], bool]:
    """The figures of one script, and whether it came to a good end."""
    script, file = HERE / f"{name}.py", folder / f"{name}.json"
    print(f"== {name}", flush=True)
    done = subprocess.run([sys.executable, str(script), "--json", str(file)], check=False)
    found = json.loads(file.read_bytes()) if file.is_file() else []
    return (found if isinstance(found, list) else []), done.returncode == 0


def met(figure: dict[str, Any]) -> bool | None:
    """Whether a figure reaches its goal; None without one."""
    goal = figure.get("goal")
    if goal in (None, ""):
        return None
    sign, _, number = goal.partition(" ") if isinstance(goal, str) else (">=" if figure.get("more") else "<=", "", goal)
    return figure["value"] >= float(number) if sign == ">=" else figure["value"] <= float(number)


def line(figure: dict[str, Any]) -> str:
    """One line of the table."""
    mark = {True: "met", False: "MISSED", None: ""}[met(figure)]
    goal = "" if figure.get("goal") is None else str(figure["goal"])
    told = f"{figure['name']:58} {figure['value']:>12,.2f} {figure['unit']:12} {goal:>10} {mark:7}"
    return f"{told} {figure.get('note', '')}".rstrip()


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join((*scripts(), *LONG))}")
    parser.add_argument("--json", type=Path, default=HERE / "results.json")
    given = parser.parse_args()
    figures: list[dict[str, Any]] = []
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.names or scripts():
            found, good = run(name, Path(folder))
            figures += [{"benchmark": name, **each} for each in found]
            failed += [] if good else [name]
    print("\n" + "\n".join(map(line, figures)))
    missed = sum(met(each) is False for each in figures)
    print(f"{len(figures)} figures, {missed} short of their goal" + (f"; failed: {', '.join(failed)}" if failed else ""))
    given.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
