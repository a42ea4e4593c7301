import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import sample_facts as sample

from generator.pages.common import ModelContext
from generator.pages.drawing import HEIGHT, LANE, ROOM, Box, Edge, doubling, drawing, lay_out, name_in, row_of
from generator.pages.model import edges


def boxes(*named):
    return [Box(name, neurons, f"{name}/index.html", name) for name, neurons in named]


def lines(*pairs):
    return [Edge(source, target, f"{target}/from-{source}.html", f"{target} reads {source}") for source, target in pairs]


def chain(count, neurons=64):
    names = [f"features.{place}" for place in range(count)]
    return boxes(*((name, neurons) for name in names)), lines(*pairwise(names))


def residual(blocks, neurons=16):
    """A stem, then blocks of two layers whose sum reads the sum before it."""
    names, pairs = ["stem"], []
    for block in (f"block{number}" for number in range(blocks)):
        pairs += [(names[-1], f"{block}.a"), (f"{block}.a", f"{block}.b"), (f"{block}.b", block), (names[-1], block)]
        names += [f"{block}.a", f"{block}.b", block]
    return boxes(*((name, neurons) for name in names)), lines(*pairs)


def dense(count):
    names = [f"dense.layer{place}" for place in range(count)]
    every = [(a, b) for at, b in enumerate(names) for a in names[:at]]
    return boxes(*((name, 32) for name in names)), lines(*every)


INCEPTION = (
    boxes(("input", 3), ("stem", 64), ("mixed.b3", 32), ("mixed.b5", 16), ("mixed", 128), ("head", 10)),
    lines(
        ("input", "stem"),
        ("stem", "mixed.b3"),
        ("stem", "mixed.b5"),
        ("stem", "mixed"),
        ("mixed.b3", "mixed"),
        ("mixed.b5", "mixed"),
        ("mixed", "head"),
    ),
)
NETWORKS = {
    "chain": chain(16),
    "residual": residual(40),
    "inception": INCEPTION,
    "dense": dense(40),
    "one": chain(1),
    "none": ([], []),
}


def corners(one):
    return one.x - one.width / 2, one.y, one.x + one.width / 2, one.y + HEIGHT


@pytest.fixture(params=NETWORKS)
def network(request):
    return NETWORKS[request.param]


def test_every_layer_is_drawn_once_and_linked(network):
    text = str(drawing(*network, "a network"))
    hrefs = re.findall(r'<a href="([^"]+)"[^>]*><title>[^<]*</title><rect', text)
    assert hrefs == [box.href for box in network[0]]


def test_every_edge_is_drawn_and_linked(network):
    text = str(drawing(*network, "a network"))
    hrefs = re.findall(r'<a href="([^"]+)"[^>]*><title>[^<]*</title><path', text)
    assert sorted(hrefs) == sorted(edge.href for edge in network[1])


def test_no_two_boxes_overlap_and_all_lie_within(network):
    laid = lay_out(*network)
    every = [corners(one) for one in laid.boxes]
    for at, (left, top, right, bottom) in enumerate(every):
        assert laid.left <= left < right <= laid.right and 0 <= top < bottom <= laid.height
        for other in every[:at]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_every_layer_stands_below_all_it_reads(network):
    laid = lay_out(*network)
    tops = {one.box.name: one.y for one in laid.boxes}
    assert all(tops[edge.source] < tops[edge.target] for edge in network[1])


def places(path):
    """The ends of a path's pieces."""
    x = y = None
    for letter, numbers in re.findall(r"([MVC])([^MVC]*)", path):
        values = [float(number) for number in numbers.split()]
        x, y = (x, values[0]) if letter == "V" else (values[-2], values[-1])
        yield x, y


def test_lines_leave_and_meet_their_own_boxes_and_pass_no_other(network):
    laid = lay_out(*network)
    placed = {one.box.name: one for one in laid.boxes}
    for edge, path in laid.lines:
        points = list(places(path))
        for (x, y), one, side in ((points[0], placed[edge.source], HEIGHT), (points[-1], placed[edge.target], 0)):
            assert corners(one)[0] <= x <= corners(one)[2] and y == pytest.approx(one.y + side, abs=0.06)
        for x, y in points[1:-1]:
            lower = [one for one in laid.boxes if one not in (placed[edge.source], placed[edge.target])]
            assert not any(a < x < c and b < y < d for a, b, c, d in map(corners, lower))


def test_lines_that_pass_the_same_row_have_lanes_of_their_own():
    laid = lay_out(*residual(3))
    far = [path for edge, path in laid.lines if edge.source.count(".") == edge.target.count(".") == 0]
    assert len(far) == 3
    widest = max(one.x + one.width / 2 for one in laid.boxes)
    lanes = [max(x for x, _ in places(path)) for path in far]
    assert all(lane > widest for lane in lanes)
    laid = lay_out(*dense(5))
    over = [max(x for x, _ in places(path)) for edge, path in laid.lines if edge.source == "dense.layer0"][1:]
    assert len(set(over)) == len(over)
    assert all(b - a >= LANE - 0.1 for a, b in pairwise(sorted(over)))


def test_a_wide_row_has_room_on_a_phone_and_a_dense_network_stays_narrow():
    wide = boxes(("in", 64), *((f"branch{at}", 64) for at in range(4)))
    laid = lay_out(wide, lines(*(("in", f"branch{at}") for at in range(4))))
    assert laid.right - laid.left <= ROOM
    laid = lay_out(*dense(40))
    assert laid.right - laid.left < 2 * ROOM


def test_a_box_is_wider_by_the_same_step_for_each_doubling():
    many = boxes(("a", 2**4 - 1), ("b", 2**5 - 1), ("c", 2**8 - 1))
    widths = [one.width for one in lay_out(many, lines(("a", "b"), ("b", "c"))).boxes]
    step = doubling([[box] for box in many])
    assert widths == pytest.approx([4 * step, 5 * step, 8 * step], abs=0.1)


def test_the_row_is_the_length_of_the_longest_way():
    assert row_of(*INCEPTION) == {"input": 0, "stem": 1, "mixed.b3": 2, "mixed.b5": 2, "mixed": 3, "head": 4}


def test_a_name_loses_its_block_then_its_front():
    names = {"mixed3a", "mixed3a.b3r", "net.stage.block.conv"}
    assert name_in("mixed3a.b3r", 100, names) == "b3r"
    assert name_in("mixed3a", 100, names) == "mixed3a"
    assert name_in("net.stage.block.conv", 90, names) == "…block.conv"
    assert name_in("convolution", 50, {"convolution"}) == "…ution"
    assert name_in("convolution", 20, {"convolution"}) == ""


def test_names_are_escaped():
    text = str(drawing([Box(sample.HOSTILE, 1000, sample.HOSTILE, sample.HOSTILE)], [], sample.HOSTILE))
    assert "<b>" not in text
    HTMLParser().feed(text)


def test_what_has_no_weights_is_drawn_without_a_link():
    model = sample.sample_model()
    last = model.layers[-1]
    cut = replace(last, reads=(), layer=replace(last.layer, reads=("mixed", "elsewhere")))
    model = replace(model, layers=(*model.layers[:-1], cut))
    found = edges(ModelContext(sample.atlas(model), model))
    assert [(edge.source, edge.href) for edge in found if edge.target == "head"] == [("mixed", "")]
    assert 'class="refused"' in drawing(boxes(("mixed", 4), ("head", 4)), [edge for edge in found if edge.target == "head"], "")
