"""The addresses of sites, from the modules that give their neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import fx

from generator.sites import Site
from generator.trace import Traced


def name_sites(traced: Traced, sites: Sequence[Site], kinds: Mapping[Site, str]) -> None:
    """Give every site its address and its aliases.

    The address is the outermost module that holds nothing but this layer (`conv0` rather than `conv0.conv`); for a sum or a
    concat the module in whose forward it stands, if it is what that module gives.
    """
    calls = numbered_calls(traced)
    inside = nodes_inside(traced)
    for site in sites:
        members = set(site.nodes)
        paths = [path for path, node in calls if node in members and path]
        if site.head.op == "placeholder":
            site.name = "input"
        elif kinds[site] in ("concat", "add") or site.head.op != "call_module":
            site.name = function_site_name(traced, site, kinds[site], paths)
        else:
            site.name = wrapper_name(traced, site, paths, calls, inside)
        site.names = [site.name, *(path for path in paths if path != site.name)]
    make_unique(sites)


def numbered_calls(traced: Traced) -> list[tuple[str, fx.Node]]:
    """Module path and result of every call; the second call of a module is `path@2`."""
    count: dict[str, int] = {}
    calls = []
    for path, node in traced.outputs:
        count[path] = count.get(path, 0) + 1
        calls.append((path if count[path] == 1 else f"{path}@{count[path]}", node))
    return calls


def nodes_inside(traced: Traced) -> dict[str, set[fx.Node]]:
    """For every module path the operations that stand within it, at any depth."""
    inside: dict[str, set[fx.Node]] = {}
    for node in traced.nodes:
        scope = str(node.target) if node.op == "call_module" else traced.scopes.get(node, "")
        parts = scope.split(".") if scope else []
        for depth in range(1, len(parts) + 1):
            inside.setdefault(".".join(parts[:depth]), set()).add(node)
    return inside


def wrapper_name(
    traced: Traced, site: Site, paths: list[str], calls: list[tuple[str, fx.Node]], inside: dict[str, set[fx.Node]]
) -> str:
    """The outermost module around the head that holds only this layer's operations and gives its neurons."""
    own = next(path for path, node in calls if node is site.head and path.split("@")[0] == str(site.head.target))
    name, members = own, set(site.nodes)
    parts = own.split("@")[0].split(".")
    for depth in range(len(parts) - 1, 0, -1):
        path = ".".join(parts[:depth])
        tensors = {node for node in inside[path] if node in traced.live}
        if path not in paths or not tensors <= members:
            break
        name = path
    return name


def function_site_name(traced: Traced, site: Site, kind: str, paths: list[str]) -> str:
    """The module in whose forward a function stands, if that module gives its neurons; else the function's own name there."""
    scope = traced.scopes.get(site.head, "")
    given = [path for path in paths if path.split("@")[0] == scope]
    if given:
        return given[0]
    kind = kind.replace("Conv2d", "conv")
    return f"{scope}.{kind}" if scope else kind


def make_unique(sites: Sequence[Site]) -> None:
    """Number the names that two sites would share, and drop aliases that are another site's name."""
    taken: dict[str, int] = {}
    for site in sites:
        taken[site.name] = taken.get(site.name, 0) + 1
        if taken[site.name] > 1:
            site.names[0] = site.name = f"{site.name}_{taken[site.name]}"
    names = {site.name for site in sites}
    for site in sites:
        site.names = [site.name, *(n for n in dict.fromkeys(site.names[1:]) if n not in names)]
