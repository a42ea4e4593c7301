"""A neuron’s weights on the pixels as a figure: the field enlarged, its place in the picture, what excites, what inhibits."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from markupsafe import Markup, escape

from generator.analyses.pixels import excitation, inhibition
from generator.pages import wording
from generator.photos import QUICK, is_exact, webp
from generator.records import Pixels

SHOWN, BESIDE = 224, 68  # CSS pixels of the longer side of the field, and of each little one below it
FEW = 16  # pixels of a field from which on they need not be enlarged by whole steps


class PixelFields:
    """The fields of a layer's neurons."""

    def __init__(self, pixels: Pixels, uris: Mapping[int, str], input_size: tuple[int, int], address: str) -> None:
        """uris: the addresses that hold them, as `field_uri` makes them, by unit."""
        self.pixels, self.uris, self.input_size, self.address = pixels, uris, input_size, escape(address)
        self.rows, self.cols = pixels.pixels.shape[1:3]

    def there(self, unit: int) -> bool:
        """Whether a neuron has one."""
        return unit in self.uris

    def picture(self, unit: int) -> Markup:
        """The field and the little ones below it, all cut from one picture that stands in the page. All of it is numbers."""
        return self._figure(unit, f'<i role=img aria-label="Weights of {self.address}:{unit} on the pixels"></i>')

    def below(self, unit: int) -> Markup:
        """The little ones alone."""
        return self._figure(unit, "")

    def _figure(self, unit: int, first: str) -> Markup:
        longest = max(self.rows, self.cols)
        scale = SHOWN / longest if longest >= FEW else SHOWN // longest
        beside = BESIDE / longest
        size = f"--r:{self.rows};--c:{self.cols};--t:{self._stacked()};--s:{scale:.4g};--b:{beside:.3g}"
        parts = [first, "<p>"]
        if self._is_part():
            parts.append(f"<span>{self._place()}in the picture</span> ")
        parts += ["<span><i class=up></i>excites</span> ", "<span><i class=down></i>inhibits</span></p>"]
        return Markup('<div class="field{}" style="{};background-image:url({})">{}</div>').format(
            "" if self.pixels.kind == "rgb" else " signed", Markup(size), Markup(self.uris[unit]), Markup("".join(parts))
        )

    def _stacked(self) -> int:
        """How many pictures stand one below the other in the inlined one: those that a style sheet cannot make of it."""
        return 1 if self.pixels.kind == "rgb" else 3

    def _is_part(self) -> bool:
        """Whether it shows a part of the picture only."""
        return self.pixels.shown[0] < self.input_size[0] or self.pixels.shown[1] < self.input_size[1]

    def _place(self) -> str:
        """The whole picture as a frame, with the field in it where it lies, at true size."""
        high, wide = self.input_size
        step = BESIDE / max(high, wide)
        top, left = self.pixels.place
        frame = f"--w:{wide * step:.3g};--h:{high * step:.3g}"
        within = f"--b:{self.pixels.shrunk * step:.3g};--x:{left * step:.3g};--y:{top * step:.3g}"
        return f'<b style="{frame}"><i style="{within}"></i></b>'

    def told(self, unit: int) -> str:
        """What the figure is."""
        shown, whole = self.pixels.shown, self.input_size
        where = (
            f"{wording.size(shown)} of the picture’s {wording.size(whole)} pixels" if self._is_part() else "all of the picture"
        )
        colours = (
            "mid-grey is zero, bright excites, dark inhibits"
            if self.pixels.kind == "rgb"
            else "red excites, blue inhibits, white is zero"
        )
        return f"Its weights on the pixels, {where}: {colours}. {self._cancelled(unit)}".rstrip()

    def _cancelled(self, unit: int) -> str:
        kept = float(self.pixels.kept[unit])
        if not np.isfinite(kept):
            return ""
        if kept > 0.9995:
            return "None of it cancels."
        return f"On the way {wording.percent(1 - kept)} of what its paths carry cancels."

    def how(self, unit: int) -> str:
        """How it was made."""
        pixels, limit = self.pixels, float(self.pixels.limit[unit])
        cut = pixels.size != pixels.shown
        step = f"{pixels.stride[0]:g}" if pixels.stride[0] == pixels.stride[1] else ""
        said = (
            "its weights multiplied through all layers below it, those on the way made linear",
            wording.replaced_line(pixels.replaced),
            pixels.scale,
            f"full colour is a weight of {wording.plain(limit)}" if limit > 0 else "",
            f"the field is {wording.size(pixels.size)} pixels; shown is what lies in the picture" if cut else "",
            f"a pixel of it is {wording.size((pixels.shrunk,) * 2)} of the picture’s" if pixels.shrunk > 1 else "",
            "it lies where the neuron in the middle of the map reads"
            + (f", the next one {step} pixels farther on" if step else ""),
            pixels.notes[unit],
        )
        return " ".join(wording.sentence(one) for one in said if one)


def field_uri(pixels: Pixels, unit: int, quality: int = 0) -> str:
    """A neuron's field as an address that holds it, with the little ones that a style sheet cannot make of it below.

    quality: of WebP; 0 loses nothing, as do tiny fields at any, and those that come out no smaller.
    """
    one = np.asarray(pixels.pixels[unit])
    if pixels.kind != "rgb":
        only = replace(pixels, pixels=one[None])
        one = np.concatenate([one, excitation(only)[0], inhibition(only)[0]])
    file = webp(one, QUICK, exact=True)
    if quality and not is_exact(pixels.pixels.shape[1:3]):
        file = min(file, webp(one, QUICK, quality=quality), key=len)
    return "data:image/webp;base64," + base64.b64encode(file).decode("ascii")
