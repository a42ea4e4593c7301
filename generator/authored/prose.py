"""The one door for Markdown: notes to HTML that can do no harm, with `[[mixed3a:147]]` for links within the atlas.

CommonMark and tables; raw HTML is shown as it stands, pictures are refused, and links lead to the web or into the atlas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup, escape

from generator.addresses import FAMILIES, anchor, folder, neuron_page
from generator.errors import nearest
from generator.positions import found

REFERENCE = re.compile(r"\[\[([^\[\]\n]+)\]\]")
ABROAD = ("http://", "https://", "mailto:")
FIRST_HEADING = 2  # the level of a note's own highest heading: the page's name is the only h1


class AstrayError(LookupError):
    """A `[[...]]` that leads nowhere."""


class LayerPlace(NamedTuple):
    """A layer of the atlas, as far as links to it go."""

    neurons: int
    paged: frozenset[int]  # the units that have a page


@dataclass(frozen=True)
class Places:
    """Everything that `[[...]]` may name."""

    models: Mapping[str, Mapping[str, LayerPlace]]  # layers by model and address
    families: Mapping[str, str]  # the file of a family by its name in lower case
    per_layer: bool = False  # whether the neurons of a layer stand on one page

    def path(self, named: str, model: str = "") -> str:
        """The page that is named, from the folder of the site; `model` is the one that the text is about.

        Raises AstrayError, with what was found and what was expected, where there is none.
        """
        if named.lower() in self.families:
            return f"{FAMILIES}/{self.families[named.lower()]}"
        given, slash, rest = named.partition("/")
        if slash and given in self.models:
            return self._in_model(rest, given)
        address, _, _ = named.partition(":")
        having = [one for one, layers in self.models.items() if address in layers]
        having = [model] if model in having else having
        if len(having) == 1:
            return self._in_model(named, having[0])
        if having:
            every = ", ".join(f"{one}/{named}" for one in having)
            raise AstrayError(f"found a layer of several models, expected one of {every}")
        known = nearest(address, self._names())
        raise AstrayError(f"found no such place, expected layer:unit, a layer or a family{known}")

    def _in_model(self, named: str, model: str) -> str:
        """The page of a layer or of a neuron of one model."""
        address, colon, unit = named.partition(":")
        layer = self.models[model].get(address)
        if layer is None:
            known = nearest(address, self.models[model])
            raise AstrayError(f"found no layer {found(address)} of {model}, expected one of the atlas{known}")
        if not colon:
            return f"{folder(model)}/{folder(address)}/index.html"
        if not re.fullmatch(r"[0-9]{1,9}", unit) or int(unit) >= layer.neurons:
            raise AstrayError(f"found unit {found(unit)}, but {address} has {layer.neurons} neurons: 0 to {layer.neurons - 1}")
        if int(unit) in layer.paged:
            return f"{folder(model)}/{neuron_page(address, int(unit), layer.neurons, self.per_layer)}"
        return f"{folder(model)}/{folder(address)}/index.html#{anchor(int(unit))}"

    def _names(self) -> list[str]:
        """What may have been meant: every layer once, every family."""
        return [*dict.fromkeys(layer for layers in self.models.values() for layer in layers), *self.families]


class Flaw(NamedTuple):
    """Something in a text that cannot be shown."""

    line: int  # within the text, from 1
    column: int
    text: str


def render(text: str, places: Places, root: str, model: str = "") -> Markup:
    """A checked text as HTML; `root` leads from the page to the folder of the site.

    Raises ValueError where `flaws` finds any: texts are checked before a page is made.
    """
    tokens = _PARSER.parse(text)
    wrong = list(_flaws(tokens, text, places, model))
    if wrong:
        raise ValueError(f"a text that was not checked: {wrong[0].text}")
    _level(tokens)
    return Markup(_PARSER.renderer.render(tokens, _PARSER.options, {"places": places, "root": root, "model": model}))


def flaws(text: str, places: Places, model: str = "") -> list[Flaw]:
    """Links that lead nowhere, and pictures, in the order of the text."""
    return list(_flaws(_PARSER.parse(text), text, places, model))


def _flaws(tokens: Sequence[Token], text: str, places: Places, model: str) -> Iterator[Flaw]:
    lines = text.split("\n")
    for block in tokens:
        start = (block.map[0], 0) if block.map else (0, 0)
        for token in block.children or ():
            written, said = _flaw(token, places, model)
            if not written:
                continue
            start = _position(lines, start, written)
            if said:
                yield Flaw(start[0] + 1, start[1] + 1, said)
            start = start[0], start[1] + 1


def _flaw(token: Token, places: Places, model: str) -> tuple[str, str]:
    """How a link or a picture is written in the text, and what is wrong with it; both may be ''."""
    if token.type == "image":
        return "![", f"found the picture {found(token.attrs.get('src'))}, expected text: the site loads nothing from elsewhere"
    if token.type == "reference":
        try:
            places.path(token.content, model)
        except AstrayError as error:
            return token.markup, f"{token.markup}: {error}"
        return token.markup, ""
    if token.type == "link_open":
        address = str(token.attrs.get("href", ""))
        right = address.lower().startswith(ABROAD)
        expected = "an address that begins with http or https, or [[layer:unit]] for a page of the atlas"
        return address or "](", "" if right else f"found a link to {found(address)}, expected {expected}"
    return "", ""


def _position(lines: Sequence[str], start: tuple[int, int], written: str) -> tuple[int, int]:
    """Line and column, from 0, at which something is written at or after a place; the place itself where it is not found."""
    for line in range(start[0], len(lines)):
        column = lines[line].find(written, start[1] if line == start[0] else 0)
        if column >= 0:
            return line, column
    return start


def _level(tokens: Sequence[Token]) -> None:
    """Give headings the levels below the page's own name, without a gap, whatever levels the text uses."""
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    used = sorted({token.tag for token in headings})
    for token in headings:
        token.tag = f"h{min(FIRST_HEADING + used.index(token.tag), 6)}"


def _read_reference(state: StateInline, silent: bool) -> bool:
    """`[[...]]`, before Markdown's own links are looked for."""
    match = REFERENCE.match(state.src, state.pos, state.posMax)
    if not match:
        return False
    if not silent:
        token = state.push("reference", "a", 0)
        token.content, token.markup = match[1].strip(), match[0]
    state.pos = match.end()
    return True


def _write_reference(_: Any, tokens: Sequence[Token], at: int, __: Any, env: Any) -> str:
    """The link that `[[...]]` stands for."""
    named = tokens[at].content
    return f'<a href="{escape(env["root"] + env["places"].path(named, env["model"]))}">{escape(named)}</a>'


def _write_link(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """A link that leaves the site."""
    tokens[at].attrSet("rel", "external noopener")
    return renderer.renderToken(tokens, at, options, env)


def _write_heading_cell(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """The head of a column."""
    tokens[at].attrSet("scope", "col")
    return renderer.renderToken(tokens, at, options, env)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table")
    parser.inline.ruler.before("link", "reference", _read_reference)
    parser.add_render_rule("reference", _write_reference)
    parser.add_render_rule("link_open", _write_link)
    parser.add_render_rule("th_open", _write_heading_cell)
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # `_flaws` refuses them, and says so
    return parser


_PARSER = _parser()
