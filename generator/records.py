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
    spread: np.ndarray
    reach: np.ndarray  # float32 [neuron]: upper edge of the last bin, its largest finite norm
    floor: np.ndarray  # float32 [neuron]: 99th percentile of its norms with positions and inputs shuffled
    # float32 [neuron, rank, row, col]: the kernels of these connections, times the source's own scale where norms are
    kernels: np.ndarray


@dataclass(frozen=True)
class Pair:
    """Two layers, one reading the other, with both tables of their connections."""

    weights: Weights
    reads: Largest  # per neuron of weights.target
    writes: Largest  # per neuron of weights.source
    norms: np.ndarray  # float32 [unit, input]: L2 norm of every connection, times the source's own scale where asked
    lean: np.ndarray  # float32 [unit, input]: how one-sided each is, -1..1 (see `analyses.connections.strengths_and_leans`)


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
    """A feature visualization of every neuron of one layer, and what became of it."""

    images: np.ndarray  # uint8 [unit, row, col, RGB]
    activations: np.ndarray  # float32 [unit]: the neuron's mean over its map on its own image
    photographs: np.ndarray  # float32 [unit]: the largest such mean on any of the photographs; NaN without any
    count: int  # of the photographs; 0: it was held against none
    more: np.ndarray | None = None  # uint8 [unit, image, row, col, RGB]: further ones, unlike the first, then negative ones
    notes: tuple[str, ...] = ()  # [unit] '' or what is wrong with it; () for nothing anywhere
    negative: int = 0  # how many of `more`, the last of them, drive the neuron down
    objective: str = "channel"  # what was made large: the mean over the neuron's map; 'centre': its value in the middle


@dataclass(frozen=True)
class Examples:
    """What the neurons of one layer make of a collection of pictures: the largest over its map counts for each picture.

    Ranks 0 to `top - 1` are the largest activations, largest first; those behind are drawn at random from equal parts of the
    neuron's range, lowest part first, none of them among the largest.
    """

    crops: np.ndarray  # uint8 [unit, rank, row, col, RGB]: what the neuron saw, within its receptive field; zero for none
    activations: np.ndarray  # float32 [unit, rank]; NaN for none: fewer pictures, never active, nothing in this part
    images: np.ndarray  # int32 [unit, rank]: index into `names`; -1 for none
    positions: np.ndarray  # int32 [unit, rank, axis]: row, col of the activation on the layer's map; -1 for none
    boxes: np.ndarray  # int32 [unit, rank, edge]: first row and col, rows and cols of the crop within the picture
    top: int  # how many of the ranks are the largest
    names: tuple[str, ...]  # of the pictures that are shown, within their folder or archive, sorted
    size: tuple[int, int]  # rows, cols of a picture as the network read it
    counts: np.ndarray  # int32 [unit, bin]: pictures by activation, those of `silent` included
    first: np.ndarray  # float32 [unit]: lower edge of the first bin
    width: np.ndarray  # float32 [unit]: of every bin; a power of two
    low: np.ndarray  # float32 [unit]: smallest activation; inf if none was a number
    high: np.ndarray  # float32 [unit]: largest; -inf if none was a number
    silent: np.ndarray  # int32 [unit]: pictures on which the activation is zero or less
    seen: int  # pictures that were read
    refused: tuple[tuple[str, str], ...]  # (name, reason) of the first that were not
    refused_count: int  # of all that were not
    remarks: tuple[tuple[str, str], ...]  # (name, what has to be said of it) for pictures that are shown
    notes: tuple[str, ...]  # [unit] '' or what has to be said of the neuron
    credit: str  # who made the pictures, as the spec says
    licence: str  # theirs, as the spec says


@dataclass(frozen=True)
class Pixels:
    """The linear receptive field of every neuron of one layer: its weights expanded to the pixels of the input picture."""

    kind: str  # 'rgb': three channels in their own colours; 'signed': one channel, red and blue
    pixels: np.ndarray  # uint8 [unit, row, col, RGB]; mid-grey (signed: f7f7f7) is zero
    there: np.ndarray  # bool [unit]: False where a neuron has no such picture; its note says why
    size: tuple[int, int]  # rows, cols of the whole field, in pixels of the input
    shown: tuple[int, int]  # rows, cols of what is shown of it: cut to the input picture
    place: tuple[int, int]  # row, col of the input at which it begins, for the neuron in the middle of its map
    stride: tuple[float, float]  # pixels of the input from one neuron of a map to the next
    shrunk: int  # pixels of the input, either way, that are one pixel here
    limit: np.ndarray  # float32 [unit]: the weight at full colour; larger ones (0.3% at most) are drawn alike
    kept: np.ndarray  # float32 [unit]: ||sum of paths|| / sum of ||path||, the rest cancels; 0..1, NaN where not known
    scale: str  # the declared scale of intensity, one line
    replaced: tuple[Replacement, ...]  # what was made linear on the way
    notes: tuple[str, ...]  # [unit] '' or a plain sentence on this neuron


@dataclass(frozen=True)
class Pushes:
    """The classes that every neuron of one layer pushes up and down, as its weights on the classifier say."""

    classes: str  # address of the layer of the classes
    up: np.ndarray  # int32 [unit, rank]: classes with the largest weights above zero, largest first; -1: no more
    up_weight: np.ndarray  # float32 [unit, rank]: what a map of ones adds to the class; NaN where `up` is -1
    down: np.ndarray  # int32 [unit, rank]: classes with the lowest weights below zero, lowest first; -1: no more
    down_weight: np.ndarray  # float32 [unit, rank]; NaN where `down` is -1
    up_kept: np.ndarray | None  # float32 [unit, rank]: the part of the paths that does not cancel, 0..1; None: one path each
    down_kept: np.ndarray | None
    through: tuple[str, ...]  # modules with weights on the way, the classifier's own left out
    replaced: tuple[Replacement, ...]  # what was made linear on the way


@dataclass(frozen=True)
class Given:
    """Pictures of the neurons of one layer that the user gave."""

    images: np.ndarray  # uint8 [unit, row, col, RGB]: each in the top left corner of its tile; zeros where none is there
    sizes: np.ndarray  # int32 [unit, (rows, cols)]: of the picture within its tile; 0 where none is there
    there: np.ndarray  # bool [unit]
    missing: tuple[int, ...]  # units with a page and without a picture, ascending
    unreadable: tuple[tuple[str, str], ...]  # (file, what is wrong with it)
    remarks: tuple[tuple[str, str], ...]  # (file, what has to be said of it): several frames
    licence: str  # may be ''
    credit: str  # may be ''


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
    pixels: Pixels | None = None  # None where the spec asks for none, or its weights cannot be expanded to the pixels
    pushes: Pushes | None = None  # None where no mean over the map leads from it to the classes
    given: Given | None = None  # None where the user gives none
    examples: Examples | None = None  # None where the spec names no images
    # the faces of its neurons in their declared order, those it lacks included
    order: tuple[str, ...] = ("weights", "pixels", "visualization", "examples", "picture")
    face_budget: int = 12 * 1024  # bytes that all faces of a neuron may take, on average


@dataclass(frozen=True)
class ModelFacts:
    """A model of the atlas."""

    name: str  # as the spec names it; a folder of the site
    provenance: Provenance
    input_shape: tuple[int, int, int]  # channels, rows, cols
    layers: tuple[LayerFacts, ...]  # in order of computation
    mean: tuple[float, ...] | None = None  # taken from its images, 0..1: one, or one for each channel; None if unknown
    std: tuple[float, ...] | None = None  # and what they are then divided by


@dataclass(frozen=True)
class Farther:
    """Layers before those that a layer reads, for pictures of neurons whose own weights have none."""

    sources: tuple[str, ...]  # addresses, in order of computation
    digest: str  # of everything that the expanded weights on them depend on


@dataclass(frozen=True)
class LayerPlan:
    """A layer before anything of it is worked out: what it will read, and a digest of all that this depends on."""

    layer: Layer
    labels: tuple[str, ...]  # [unit] class names on a classifier's units; () elsewhere
    outside: tuple[str, ...]  # chosen layers it reads, outside of it, nearest first
    inside: tuple[str, ...]  # chosen layers inside it that it reads
    digest: str  # of everything that its weights on them depend on, its bias included
    farther: tuple[Farther, ...]  # one step farther back each
    pixels: str  # digest of everything that its weights expanded to the pixels depend on
    pushes: str  # of everything that the expanded weights of the classes on it depend on; '' where there are no classes


@dataclass(frozen=True)
class ModelPlan:
    """A model that was opened and traced, with the layers that get pages."""

    name: str
    provenance: Provenance
    input_shape: tuple[int, int, int]  # channels, rows, cols
    layers: tuple[LayerPlan, ...]  # in order of computation
    looks: str  # folder of feature visualizations that come with it, '' for none
    mean: tuple[float, ...] | None = None  # taken from its images, 0..1: one, or one for each channel; None if unknown
    std: tuple[float, ...] | None = None  # and what they are then divided by


@dataclass(frozen=True)
class LayerWeights:
    """The weights of a layer on all chosen layers it reads, and what comes with them."""

    weights: tuple[Weights, ...]  # on layers outside of it first, then on those inside
    outside: int  # how many of them are on layers outside
    refused: tuple[str, ...]  # one line for each that cannot be read
    bias: np.ndarray | None  # float32 [unit]: with the batch norm folded in; None without
    norm_scale: np.ndarray | None  # float32 [unit]: scale of its batch norm; None without
    stored: np.ndarray | None  # int [unit]: how many weights its own kernel has; None where some cannot be read


@dataclass(frozen=True)
class PairTables:
    """Everything of a `Pair` but its weights."""

    reads: Largest
    writes: Largest
    norms: np.ndarray  # float32 [unit, input]
    lean: np.ndarray  # float32 [unit, input]


@dataclass(frozen=True)
class LayerKeys:
    """Under which keys the results of a layer are kept."""

    address: str
    weights: str  # of its LayerWeights
    tables: str  # of its PairTables, one for each of the weights
    facts: tuple[tuple[str, str], ...]  # (field of LayerFacts, key) for everything else: 'faces', 'statistics', ...


@dataclass(frozen=True)
class Results:
    """A model that is worked out: where everything its pages say is kept."""

    plan: ModelPlan
    chosen: tuple[np.ndarray, ...]  # int32 [unit] for each layer: the neurons that have a page, ascending
    keys: tuple[LayerKeys, ...]  # one for each layer
    orders: tuple[tuple[str, ...], ...]  # for each layer its faces in their declared order
    face_budget: int = 12 * 1024  # bytes that all faces of a neuron may take, on average


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
    per_layer: bool = False  # whether the neurons of a layer stand on one page, for hosts with file limits


@dataclass(frozen=True)
class Visualizations:
    """Images that neurons of a layer respond to, found by optimization."""

    images: np.ndarray  # uint8 [unit, image, row, col, RGB]
    activations: np.ndarray  # float32 [unit, image]: the neuron's mean over its map, as the network hands it on, for that image
    notes: tuple[str, ...]  # one a unit: what is wrong with its images; '' for nothing
