"""The linear stand-in of every operation, pulled back: how a field over an operation's output becomes fields over its inputs.

Linear operations are taken as they are. Voss et al. (Distill, 2021) replace the others: activations by the identity, max pools
by average pools; `design` choices beyond theirs stand beside each rule. A rule is a function of a `Step` and a `Field`; the
tables at the end name the rule of every module class and of every function. What is not there is refused, never guessed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from torch import fx, nn

from generator.field import Field
from generator.linear import convolutions, elementwise, norms, pools, shapes
from generator.linear.step import Nonlinear, Pulled, Step

__all__ = ["Nonlinear", "Pulled", "Step", "find_rule"]

ACTIVATIONS: tuple[type[nn.Module], ...] = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid,
    nn.LogSoftmax, nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.RReLU, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softmax, nn.Softmax2d,
    nn.Softmin, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Threshold,
)  # fmt: skip
ACTIVATION_NAMES = frozenset(
    (
        "celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid log_sigmoid log_softmax mish prelu "
        "relu relu6 rrelu selu silu sigmoid softmax softmin softplus softshrink softsign tanh tanhshrink threshold clamp "
        "clip clamp_min clamp_max local_response_norm gumbel_softmax"
    ).split(" ")
)
OPENINGS = {  # the largest value of a function that squashes: what it multiplies by when the gate is open
    **dict.fromkeys(
        ("Sigmoid", "Hardsigmoid", "Softmax", "Softmax2d", "Tanh", "sigmoid", "hardsigmoid", "softmax", "tanh"), 1.0
    ),
    **dict.fromkeys(("ReLU6", "relu6"), 6.0),
}
NORMS: tuple[type[nn.Module], ...] = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
SAME = frozenset(
    (
        "dropout dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout stochastic_depth contiguous "
        "clone detach to float half double type type_as requires_grad cpu cuda positive"
    ).split(" ")
)

Rule = Callable[[Step, Field], Pulled]
MODULES: dict[type[nn.Module], Rule] = {
    **dict.fromkeys(ACTIVATIONS, elementwise.activation),
    **dict.fromkeys(
        (nn.Identity, nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout), elementwise.same
    ),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.InstanceNorm2d), norms.batch_norm),
    **dict.fromkeys((nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d), shapes.pad),
    **dict.fromkeys((nn.Upsample, nn.UpsamplingNearest2d), pools.interpolate),
    nn.Conv2d: convolutions.conv_module,
    nn.ConvTranspose2d: convolutions.transposed_module,
    nn.Linear: convolutions.linear_module,
    nn.GroupNorm: norms.group_norm,
    nn.LayerNorm: norms.layer_norm,
    nn.LocalResponseNorm: elementwise.activation,
    nn.GLU: elementwise.gated_half,
    nn.MaxPool2d: pools.max_pool,
    nn.AvgPool2d: pools.average_pool,
    nn.LPPool2d: pools.lp_pool,
    nn.AdaptiveAvgPool2d: pools.adaptive_average,
    nn.AdaptiveMaxPool2d: pools.adaptive_max,
    nn.Flatten: shapes.reshape,
    nn.Unflatten: shapes.reshape,
    nn.ChannelShuffle: shapes.shuffle,
}
if hasattr(nn, "RMSNorm"):
    MODULES[nn.RMSNorm] = norms.rms_norm
FUNCTIONS: dict[str, Rule] = {
    **dict.fromkeys(ACTIVATION_NAMES, elementwise.activation),
    **dict.fromkeys(SAME, elementwise.same),
    **dict.fromkeys(("add", "iadd", "sub", "isub", "subtract", "rsub"), elementwise.addition),
    **dict.fromkeys(("mul", "imul", "multiply"), elementwise.product),
    **dict.fromkeys(("div", "truediv", "itruediv", "divide", "true_divide"), elementwise.quotient),
    **dict.fromkeys(("mean", "sum", "amax"), pools.reduce_axes),
    **dict.fromkeys(("matmul", "mm", "bmm", "baddbmm", "einsum", "scaled_dot_product_attention"), convolutions.matmul),
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"), shapes.reshape),
    **dict.fromkeys(("cat", "concat", "concatenate"), shapes.concat),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), shapes.transpose),
    "neg": elementwise.negation,
    "conv2d": convolutions.conv_function,
    "conv_transpose2d": convolutions.transposed_function,
    "linear": convolutions.linear_function,
    "batch_norm": norms.batch_norm_function,
    "group_norm": norms.group_norm_function,
    "layer_norm": norms.layer_norm_function,
    "instance_norm": norms.instance_norm,
    "glu": elementwise.gated_half,
    "max_pool2d": pools.max_pool,
    "avg_pool2d": pools.average_pool,
    "lp_pool2d": pools.lp_pool,
    "adaptive_avg_pool2d": pools.adaptive_average,
    "adaptive_max_pool2d": pools.adaptive_max,
    "interpolate": pools.interpolate,
    "getitem": shapes.part_of,
    "pad": shapes.pad,
    "permute": shapes.permute,
    "channel_shuffle": shapes.shuffle,
}
KNOWN_HOMES = ("torch", "_operator", "operator", "builtins", "math", "torchvision", "functorch")


def function_name(target: Any) -> str:
    """The plain name of a called function or method: in-place forms and dunders are the same operation."""
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return name.strip("_")


def find_rule(node: fx.Node, module: nn.Module | None) -> Rule | None:
    """The rule for an operation; None where there is none."""
    if module is not None:
        return next((MODULES[kind] for kind in type(module).__mro__ if kind in MODULES), None)
    home = getattr(node.target, "__module__", None) or "torch"
    if node.op == "call_function" and home.split(".")[0] not in KNOWN_HOMES and node.target is not operator.getitem:
        return None
    return FUNCTIONS.get(function_name(node.target))
