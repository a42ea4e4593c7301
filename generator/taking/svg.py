"""An SVG file as elements with their places in its bytes, so that a few of them can be edited and all else stays as it was.

Editors leave much in a file that a parser would lose or write otherwise (comments, entities, their own namespaces, the order
and quoting of attributes); so nothing is written from a tree, bytes are only put in and replaced at known places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.parsers import expat

from generator.errors import SPEC, AtlasError

SVG = "http://www.w3.org/2000/svg"
LONGEST_ENTITY = 500  # characters; drawing programs declare entities for namespaces, which are short
_ATTRIBUTE = re.compile(rb"""([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")
_TAG = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")  # how a file in UTF-16 begins


class FigureError(AtlasError):
    """A figure that cannot be read or linked as it is: one line for each mistake."""

    exit_code = SPEC

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    @property
    def lines(self) -> tuple[str, ...]:
        """The problems, a line each."""
        return self.problems


@dataclass
class Element:
    """An element and its place in the bytes of its file; all that is outside of SVG has no `name`."""

    name: str  # 'g', 'image'; '' where it is not of SVG
    prefix: str  # 'svg:' where the file writes <svg:g>
    attributes: dict[str, str]  # as the file names them, 'xlink:href'; entities resolved
    line: int
    column: int
    start: int  # of its start tag
    inside: int  # where its content begins
    parent: Element | None
    within: int = 0  # where its content ends
    end: int = 0  # behind its end tag
    values: dict[str, tuple[int, int]] = field(
        default_factory=dict
    )  # of each attribute: where its value stands, without quotes

    @property
    def href(self) -> tuple[str, str]:
        """The attribute with its reference, and that; both '' where it has none."""
        found = [name for name in self.attributes if name == "href" or name.endswith(":href")]
        return (found[0], self.attributes[found[0]]) if found else ("", "")

    def around(self) -> Iterable[Element]:
        """The elements it stands in, the nearest first."""
        one = self.parent
        while one is not None:
            yield one
            one = one.parent


@dataclass(frozen=True)
class Edit:
    """Bytes that take the place of others; with start == end they are put in."""

    start: int
    end: int
    text: bytes


def edited(content: bytes, edits: Iterable[Edit]) -> bytes:
    """The content with all edits made. At one place they keep their order; none may overlap another."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        if edit.start < at:
            raise ValueError(f"edits overlap at byte {edit.start}")
        parts += [content[at : edit.start], edit.text]
        at = edit.end
    return b"".join((*parts, content[at:]))


def elements(content: bytes, name: str) -> list[Element]:
    """Every element of an SVG file in its order; `name` is the file's, for messages. Raises FigureError with its place."""
    if content.startswith(_WIDE):
        raise FigureError([f"{name}: found UTF-16, expected UTF-8; save it so"])
    reader = _Reader(content, name)
    if not reader.found or reader.found[0].name != "svg":
        raise FigureError([f"{name}:1:1: found no <svg> at the top, expected an SVG file"])
    return reader.found


class _Reader:
    """What expat tells, gathered."""

    def __init__(self, content: bytes, file: str) -> None:
        self.content, self.file = content, file
        self.found: list[Element] = []
        self.open: list[Element] = []
        self.spaces: list[dict[str, str]] = [{}]
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.starts
        self.parser.EndElementHandler = self.ends
        self.parser.EntityDeclHandler = self.declares
        try:
            self.parser.Parse(content, True)
        except expat.ExpatError as error:
            at = f"{file}:{error.lineno}:{error.offset + 1}"
            raise FigureError([f"{at}: not well-formed XML: {expat.errors.messages[error.code]}"]) from None

    def declares(
        self, name: str, is_parameter: bool, value: str | None, base: str | None, system: str | None, *_: object
    ) -> None:
        """Entities may stand for short plain text, as drawing programs use them: no files, no others, no markup."""
        if is_parameter or value is None or len(value) > LONGEST_ENTITY or "&" in value or "<" in value:
            where = f"{self.file}:{self.parser.CurrentLineNumber}:{self.parser.CurrentColumnNumber + 1}"
            raise FigureError(
                [f"{where}: found the entity '{name}', expected none but short plain text; save the figure without it"]
            )

    def starts(self, tag: str, attributes: dict[str, str]) -> None:
        """A start tag, which may be all of the element."""
        start = self.parser.CurrentByteIndex
        declared = {key[6:]: value for key, value in attributes.items() if key == "xmlns" or key.startswith("xmlns:")}
        self.spaces.append({**self.spaces[-1], **declared} if declared else self.spaces[-1])
        prefix, colon, local = tag.rpartition(":")
        written = _TAG.match(self.content, start)
        inside = written.end() if written else start
        element = Element(
            name=local if self.spaces[-1].get(prefix) == SVG else "",
            prefix=prefix + colon,
            attributes=attributes,
            line=self.parser.CurrentLineNumber,
            column=self.parser.CurrentColumnNumber + 1,
            start=start,
            inside=inside,
            parent=self.open[-1] if self.open else None,
        )
        for each in _ATTRIBUTE.finditer(self.content, start, inside):
            element.values[each[1].decode("utf-8", "replace")] = (each.start(2) + 1, each.end(2) - 1)
        self.found.append(element)
        self.open.append(element)

    def ends(self, _: str) -> None:
        """An end tag; of an element without one expat says the place of its start, or the place behind it."""
        element, at = self.open.pop(), self.parser.CurrentByteIndex
        self.spaces.pop()
        if at <= element.inside and self.content[element.inside - 2 : element.inside] == b"/>":
            element.within = element.end = element.inside
        else:
            element.within, element.end = at, self.content.index(b">", at) + 1
