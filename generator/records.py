"""What the stages hand to each other: frozen, complete when made, numpy only.

Axes have one order everywhere: `unit, input, row, col, factor`. A *unit* is a neuron of the layer that reads (the target);
an *input* is a neuron of the layer that is read (the source).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Provenance:
    """Where a model's weights came from; shown on every page of the model."""

    source: str  # as the spec names it: 'bundled', 'torchvision:googlenet', 'nets:small'
    weights: str  # file name, weights enum name, or 'random'
    sha256: str  # of the weights as used: names, shapes and float32 bytes, in order
    versions: tuple[tuple[str, str], ...]  # (package, version) of what made the weights: torch, torchvision


@dataclass(frozen=True)
class Branch:
    """Units `start` to `stop - 1` of a concat are units 0 to `stop - start - 1` of the layer `address`."""

    address: str
    start: int
    stop: int


@dataclass(frozen=True)
class Layer:
    """A place in the model whose channels are neurons."""

    address: str  # module path, as in the spec: 'mixed3a', 'layer1.0.conv1', 'input'
    kind: str  # 'Conv2d', 'Linear', 'concat', 'add', 'input', ...
    neurons: int
    map_size: tuple[int, int] | None  # rows, cols of its map at the declared input size; None after flattening
    kernel: tuple[int, int] | None  # rows, cols of its own stored kernel; None where it has none
    stride: tuple[int, int] | None  # of that kernel
    parameters: int  # numbers stored in the modules whose output this layer is, its norm included
    reads: tuple[str, ...]  # addresses of the layers that feed it, nearest first
    aliases: tuple[str, ...]  # other addresses of the whole layer: its norm, its activation, a pool behind it
    branches: tuple[Branch, ...]  # for a concat: the branches that made its units, the same neurons under another address


@dataclass(frozen=True)
class Replacement:
    """One operation on a path that is not linear, and what stood in for it."""

    module: str  # module path
    operation: str  # 'ReLU', 'MaxPool2d 3x3', 'gate'
    by: str  # 'identity', 'average pool 3x3', 'centring over channels'


@dataclass(frozen=True)
class Weights:
    """How each neuron of the target layer reads each neuron of the source layer.

    A position (y, x) of the target reads position (stride * y + offset + row, stride * x + offset + col) of the source.
    """

    source: str  # address of the layer that is read
    target: str  # address of the layer that reads
    kernel: np.ndarray  # float32 [unit, input, row, col]; batch norm of the path folded in
    grid: str  # 'sliding': as above; 'whole map': one kernel over the source's whole map; 'mean': response to a constant map
    stride: tuple[float, float]  # (rows, cols) of the source's map; a fraction behind an upsampling; 1 unless sliding
    offset: tuple[int, int]  # (row, col) of kernel[..., 0, 0], in positions of the source's map
    direct: bool  # True: the target's own stored kernel (times its norm); False: expanded through other modules
    through: tuple[str, ...]  # modules with weights between source and target, the target's own left out, in order
    replaced: tuple[Replacement, ...]  # what was made linear on the way
    read_at: str  # module whose output is read: the source itself, or a pool behind it
    source_scale: np.ndarray | None  # float32 [input]: |scale| of the source's own batch norm; None without one
    cancellation: np.ndarray | None  # float32 [unit, input]: ||sum of paths|| / sum of ||path|| (1: none cancels) or None


@dataclass(frozen=True)
class NeuronFactors:
    """One-sided NMF of every neuron of one layer: X[position, input] = maps[position, factor] @ mixes[input, factor].T"""

    maps: np.ndarray  # float32 [unit, row, col, factor]; >= 0; factor order is the layer's colours: red, green, blue
    mixes: np.ndarray  # float32 [unit, input, factor]; of either sign
    explained: np.ndarray  # float32 [unit]; share of squared weight that maps and mixes explain, 0..1; NaN where undefined
    bound: np.ndarray  # float32 [unit]; the most that any rank-k picture could explain (SVD)
    noise: float  # median share that k factors explain of Gaussian noise of the same shape
    method: str  # 'semi-nmf' or 'posneg'
    notes: tuple[str, ...]  # [unit] '' or a plain sentence: 'all its weights are zero', 'its weights hold NaN'


@dataclass(frozen=True)
class Faces:
    """The picture of every neuron of one layer, in colours."""

    kind: str  # 'nmf', 'rgb' (three inputs as they are), 'signed' (one input), 'maps' (signed, by factor), 'bars', 'none'
    pixels: np.ndarray  # uint8 [unit, row, col, RGB]; with 'bars' and 'none' [unit, 0, 0, 3]
    sources: tuple[str, ...]  # addresses of the layers whose weights it shows
    expanded: str  # '' or why these are not the layer's own weights: 'its own kernels are 1x1; ... through mixed3a.b3r'
    scale: str  # the declared scale of intensity, one line: 'full red = 0.42, zero is mid-grey'
    factors: NeuronFactors | None  # with 'nmf' and 'maps'
    bars: np.ndarray | None  # float32 [unit, bar]: signed sums of the largest inputs, largest norm first, with 'bars'
    bar_inputs: np.ndarray | None  # int32 [unit, bar]: which inputs these are
    notes: tuple[str, ...]  # [unit] '' or a plain sentence on this neuron: exact zeros, dead, NaN, Inf
    noise: np.ndarray | None = None  # float32 [unit]: the noise figure for the shape of each unit's picture; None as factors


@dataclass(frozen=True)
class Largest:
    """For every neuron of one layer its k largest connections with one neighbouring layer, by L2 norm of the kernel."""

    here: str  # address of the layer whose neurons have these tables
    there: str  # address of the layer at the other end
    direction: str  # 'reads': here is the target, there the source; 'writes': here is the source, there the target
    other: np.ndarray  # int32 [neuron, rank]: the neuron at the other end; ties by smaller index
    norm: np.ndarray  # float32 [neuron, rank]: L2 norm of the kernel (times the source's own scale where the spec says so)
    excitation: np.ndarray  # float32 [neuron, rank]: sum of the kernel's positive weights, >= 0
    inhibition: np.ndarray  # float32 [neuron, rank]: sum of the kernel's negative weights, <= 0
    share: np.ndarray  # float32 [neuron, rank]: squared norm over the neuron's squared weight with the whole layer, 0..1
    shown: np.ndarray  # float32 [neuron]: sum of share over the ranks
    left_out: int  # how many connections to this layer a table leaves out
    # int32 [neuron, bin]: how many of its norms, shown or not, lie in each of the bins 0..reach; zero, NaN and Inf lie in none
    spread: np.ndarray | None = None
    reach: np.ndarray | None = None  # float32 [neuron]: upper edge of the last bin, its largest finite norm
    floor: np.ndarray | None = None  # float32 [neuron]: 99th percentile of its norms with positions and inputs shuffled


@dataclass(frozen=True)
class Pair:
    """Two layers, one reading the other, with both tables of their connections."""

    weights: Weights
    reads: Largest  # per neuron of weights.target
    writes: Largest  # per neuron of weights.source


@dataclass(frozen=True)
class Statistics:
    """What can be said of each neuron of a layer in a number, and which neurons of the layer are alike.

    Of the weights that feed it from outside the layer (`LayerFacts.reads`, direct or expanded); NaN where undefined.
    """

    norm: np.ndarray  # float32 [unit]: L2 norm of all its weights
    sparsity: np.ndarray  # float32 [unit]: 0 (all weights alike in size) to 1 (a single one); Hoyer, JMLR 5, 2004, section 3.1
    zeros: np.ndarray  # float32 [unit]: share of its weights that are exactly zero, padding left out
    positive: np.ndarray  # float32 [unit]: share of the absolute weight that is positive
    bias: np.ndarray | None  # float32 [unit]: bias with the batch norm folded in; None where the layer has none
    norm_scale: np.ndarray | None  # float32 [unit]: scale (gamma over standard deviation) of its batch norm; None without one
    alike: np.ndarray  # int32 [unit, rank]: neurons of the layer with the most alike weights, most alike first; -1: no more
    cosine: np.ndarray  # float32 [unit, rank]: cosine of the weights of the two, above zero; NaN where `alike` is -1
    place: np.ndarray  # int32 [unit]: its place in an order of the layer in which alike neurons stand together


@dataclass(frozen=True)
class Looks:
    """A feature visualization of every neuron of one layer, made beforehand and held against photographs."""

    images: np.ndarray  # uint8 [unit, row, col, RGB]
    activations: np.ndarray  # float32 [unit]: the neuron's mean over its map on its own image
    photographs: np.ndarray  # float32 [unit]: the largest such mean on any of the photographs
    count: int  # of the photographs


@dataclass(frozen=True)
class LayerFacts:
    """A layer of the atlas with everything its pages say."""

    layer: Layer
    chosen: np.ndarray  # int32: the units that have a page, ascending
    labels: tuple[str, ...]  # [unit] class names on a classifier's units; () elsewhere
    faces: Faces
    reads: tuple[Pair, ...]  # layers before it first, then those inside it (a block reads its own bottlenecks too)
    writes: tuple[Pair, ...]
    refused: tuple[str, ...]  # one line for each neighbour whose weights cannot be read, and why
    statistics: Statistics | None = None  # None where it reads no layer of the atlas
    looks: Looks | None = None  # None where the model brings none


@dataclass(frozen=True)
class ModelFacts:
    """A model of the atlas."""

    name: str  # as the spec names it; a folder of the site
    provenance: Provenance
    input_shape: tuple[int, int, int]  # channels, rows, cols
    layers: tuple[LayerFacts, ...]  # in order of computation


@dataclass(frozen=True)
class Members:
    """Neurons of one layer that belong to a family."""

    model: str
    layer: str
    units: tuple[int, ...]  # each once, in the order in which the user names them


@dataclass(frozen=True)
class Family:
    """A named group of neurons, as the user names them."""

    name: str
    file: str  # of its page, in the folder of families; unlike that of any other
    note: str  # Markdown, may be ''
    members: tuple[Members, ...]  # in the order of models and of layers; at least one neuron


@dataclass(frozen=True)
class Note:
    """What the user says of a layer or of a neuron."""

    model: str
    layer: str
    unit: int | None  # None: on the layer as a whole
    text: str  # Markdown
    path: str  # file it came from, for messages


@dataclass(frozen=True)
class AtlasFacts:
    """Everything the site says."""

    title: str
    description: str  # plain text, may be ''
    authors: tuple[str, ...]
    licence: str
    site_url: str  # '' or an absolute address
    scaled_by_source: bool  # whether norms were multiplied by the source's own batch-norm scale
    factors: int
    models: tuple[ModelFacts, ...]
    families: tuple[Family, ...] = ()
    notes: tuple[Note, ...] = ()
    oembed: tuple[str, ...] = ()  # layers, as the spec names them, whose neurons get oEmbed files


@dataclass(frozen=True)
class Visualizations:
    """Images that neurons of a layer respond to, found by optimization."""

    images: np.ndarray  # uint8 [unit, image, row, col, RGB]
    activations: np.ndarray  # float32 [unit, image]: the neuron's mean over its map, as the network hands it on, for that image
    notes: tuple[str, ...]  # one a unit: what is wrong with its images; '' for nothing
