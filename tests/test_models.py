"""From a model's part in the spec to a module: torchvision's names, one's own code, and what is kept of their origin."""

import hashlib
import os
import random
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models as tv_models

import generator.models
from generator.errors import ModelError
from generator.models import digest, input_shape, load_model
from generator.models import torchvision as source

SHARED = Path(__file__).parents[1].parent / "shared" / "models"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared checkpoints are not here")
SMALL = "squeezenet1_1"

NETS = """
import torch
from torch import nn
import parts

def small(width=4, channels=3):
    return nn.Sequential(nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Conv2d(width, parts.UNITS, 1))

def lazily():
    import late
    return late.make()

def broken():
    return parts.fail()

def a_dict():
    return {}

def scripted():
    return torch.jit.trace(nn.ReLU(), torch.zeros(1))

def half():
    return nn.Linear(2, 2).half().train()

def shaken():
    import random, numpy
    net = nn.Linear(1, 1)
    nn.init.constant_(net.weight, random.random() + numpy.random.rand())
    return net

instance = nn.ReLU()
number = 3
"""


def spec(of, weights=None, size=None, **arguments):
    return SimpleNamespace(name="net", source=of, weights=weights, arguments=arguments, input_size=size)


def refusal(of, folder, weights=None, **arguments):
    with pytest.raises(ModelError) as caught:
        load_model(spec(of, weights, **arguments), folder)
    assert str(caught.value).startswith("net: ")
    return str(caught.value).removeprefix("net: ")


@pytest.fixture
def nets(tmp_path):
    """A folder with a spec's own code."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "parts.py").write_text("UNITS = 5\n\n\ndef fail():\n    raise KeyError('width')\n")
    (tmp_path / "late.py").write_text("from torch import nn\n\n\ndef make():\n    return nn.Linear(3, 2)\n")
    return tmp_path


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Downloads come from a local folder; what is not there fails as without a network. Gives the folder."""
    served = tmp_path / "served"
    served.mkdir()

    def download(url, target, *_, **__):
        file = served / url.rpartition("/")[2]
        if not file.exists():
            raise URLError("no route to host")
        shutil.copy(file, target)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    return served


def serve(hub, name, weights, **options):
    """Put random weights on offer as the named ones; gives them."""
    module = tv_models.get_model(name, weights=None, **options)
    torch.save(module.state_dict(), hub / tv_models.get_model_weights(name)[weights].url.rpartition("/")[2])
    return module


# --- every source ------------------------------------------------------------------------------------------------------------


def test_a_model_comes_ready_to_be_read(nets):
    loaded = load_model(spec("nets:half"), nets)
    assert not loaded.module.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in loaded.module.parameters())
    assert loaded.name == "net"


@pytest.mark.parametrize("of", [f"torchvision:{SMALL}", "nets:small", "nets:shaken"])
def test_random_weights_are_the_same_each_time_whatever_the_callers_dice(nets, of):
    digests = set()
    for seed in range(3):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        digests.add(load_model(spec(of), nets).provenance.sha256)
    assert len(digests) == 1


@pytest.mark.parametrize("of", [f"torchvision:{SMALL}", "nets:shaken", "nets:broken"])
def test_the_callers_dice_go_on_as_if_nothing_had_been_built(nets, of):
    def draws(load):
        torch.manual_seed(7), np.random.seed(7), random.seed(7)
        if load:
            try:
                load_model(spec(of), nets)
            except ModelError:
                assert of == "nets:broken"
        return torch.rand(1).item(), np.random.rand(), random.random()

    assert draws(load=True) == draws(load=False)


def test_the_digest_is_what_its_docstring_says():
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    by_hand = hashlib.sha256()
    for name in ["0.bias", "0.weight", "1.bias", "1.running_mean", "1.running_var", "1.weight"]:
        numbers = module.state_dict()[name]
        by_hand.update(name.encode() + b"\0" + "x".join(str(n) for n in numbers.shape).encode() + b"\0")
        by_hand.update(np.ascontiguousarray(numbers.numpy(), "<f4").tobytes())
    assert digest(module) == by_hand.hexdigest()


def test_the_digest_changes_with_any_number_name_or_shape_and_with_nothing_else():
    def linear(rows=2, cols=3, add=0.0, name="a"):
        part = nn.Linear(cols, rows, bias=False)
        nn.init.constant_(part.weight, 1)
        part.weight.data.view(-1)[-1] += add
        return nn.ModuleDict({name: part})

    assert digest(linear()) == digest(linear().eval())
    assert len({digest(linear()), digest(linear(3, 2)), digest(linear(add=1e-6)), digest(linear(name="b"))}) == 4
    assert digest(nn.ReLU()) == hashlib.sha256().hexdigest()


def test_the_digest_is_of_the_weights_and_not_of_the_file(nets):
    module = load_model(spec("nets:small"), nets).module
    state = {name: tensor.half() for name, tensor in module.state_dict().items()}
    save_file(state, nets / "a.safetensors")
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 1}, nets / "b.pth")
    a, b = (load_model(spec("nets:small", file), nets).provenance for file in ("a.safetensors", "b.pth"))
    assert a.sha256 == b.sha256
    assert (a.weights, b.weights) == ("a.safetensors", "b.pth")


def test_provenance_names_source_and_versions_and_no_path(nets):
    (nets / "deep").mkdir()
    save_file(load_model(spec("nets:small"), nets).module.state_dict(), nets / "deep" / "w.safetensors")
    kept = load_model(spec("nets:small", "deep/w.safetensors"), nets).provenance
    assert (kept.source, kept.weights) == ("nets:small", "w.safetensors")
    assert [package for package, _ in kept.versions] == ["torch", "torchvision"]
    assert all(version for _, version in kept.versions)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (None, (3, 20, 30)),
        ((), (3, 20, 30)),
        (8, (3, 8, 8)),
        ((8, 9), (3, 8, 9)),
        ([8, 9], (3, 8, 9)),
        ((1, 8, 9), (1, 8, 9)),
    ],
)
def test_the_specs_input_size_goes_before_the_sources(size, shape):
    assert input_shape(size, (3, 20, 30)) == shape


@pytest.mark.parametrize("of", ["resnet18", "nets:", ":small", ""])
def test_a_source_that_is_none_is_refused(tmp_path, of):
    assert "write bundled, torchvision:NAME or package.module:callable" in refusal(of, tmp_path)


# --- torchvision -------------------------------------------------------------------------------------------------------------


def test_every_torchvision_name_is_built(tmp_path, monkeypatch):
    """With memory as it is found in place of random numbers: those of all 98 would take a minute and are tested above."""
    for name in [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]:
        monkeypatch.setattr(nn.init, name, lambda tensor, *_, **__: tensor)
    monkeypatch.setattr(generator.models, "digest", lambda module: "")
    assert len(source.names()) >= 98 or tuple(map(int, source.VERSION.split(".")[:2])) < (0, 20)
    for name in source.names():
        loaded = load_model(spec(f"torchvision:{name}"), tmp_path)
        assert any(isinstance(part, nn.Conv2d) for part in loaded.module.modules()), name
        assert loaded.provenance.weights == "random (seed 0)"


@pytest.mark.skipif("ATLAS_SLOW" not in os.environ, reason="takes minutes; set ATLAS_SLOW=1")
@pytest.mark.parametrize("name", source.names())
def test_every_torchvision_name_takes_its_input(tmp_path, name):
    loaded = load_model(spec(f"torchvision:{name}"), tmp_path)
    with torch.no_grad():
        assert loaded.module(torch.zeros(1, *loaded.input_shape)) is not None


@pytest.mark.parametrize(
    ("name", "side"),
    [(SMALL, 224), ("inception_v3", 299), ("fcn_resnet50", 224), ("ssdlite320_mobilenet_v3_large", 320)],
)
def test_the_input_is_as_large_as_the_model_was_made_for(tmp_path, name, side):
    loaded = load_model(spec(f"torchvision:{name}"), tmp_path)
    assert loaded.input_shape == (3, side, side)
    with torch.no_grad():
        assert loaded.module(torch.zeros(1, *loaded.input_shape)) is not None


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_are_left_out_and_may_be_in_the_file(tmp_path, name):
    with_heads = tv_models.get_model(name, weights=None, init_weights=False)
    torch.save(with_heads.state_dict(), tmp_path / "w.pth")
    loaded = load_model(spec(f"torchvision:{name}", "w.pth"), tmp_path)
    assert not any("aux" in address.lower() for address, _ in loaded.module.named_parameters())
    assert "have no place in the model" in loaded.notes[0]


def test_a_detector_gives_its_backbone_and_takes_a_file_of_the_whole(tmp_path):
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    whole = tv_models.get_model(name, weights=None, weights_backbone=None)
    torch.save({"model": whole.state_dict()}, tmp_path / "w.pth")
    loaded = load_model(spec(f"torchvision:{name}", "w.pth"), tmp_path)
    assert {address.split(".")[0] for address, _ in loaded.module.named_parameters()} == {"body", "fpn"}
    assert torch.equal(loaded.module.body["0"][0].weight, whole.backbone.body["0"][0].weight)
    assert loaded.notes[0] == "read under 'model.backbone.' in w.pth"


def test_a_segmentation_model_keeps_backbone_and_classifier(tmp_path):
    loaded = load_model(spec("torchvision:lraspp_mobilenet_v3_large"), tmp_path)
    assert {address.split(".")[0] for address, _ in loaded.module.named_parameters()} == {"backbone", "classifier"}


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        (SMALL, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("lraspp_mobilenet_v3_large", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("ssdlite320_mobilenet_v3_large", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_images_are_normalized_as_torchvision_itself_does(tmp_path, name, mean, std):
    loaded = load_model(spec(f"torchvision:{name}", "none"), tmp_path)
    assert (loaded.mean, loaded.std) == (pytest.approx(mean), pytest.approx(std))


def test_weights_of_a_name_bring_their_own_normalization_and_need_not_have_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "build", lambda *_: source.Made(nn.Conv2d(3, 2, 1), None, None))
    loaded = load_model(spec("torchvision:vgg16", "IMAGENET1K_FEATURES"), tmp_path)
    assert (loaded.mean, loaded.std) == ((0.48235, 0.45882, 0.40784), pytest.approx((1 / 255,) * 3))
    assert loaded.class_names == ()
    assert load_model(spec("torchvision:vgg16"), tmp_path).mean == (0.485, 0.456, 0.406)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_what_is_taken_out_of_a_network_is_made_up_for_in_its_normalization(tmp_path, hub, name):
    """These two rescale colours within, when torchvision loads named weights: a picture gives the same by either way."""
    serve(hub, name, "IMAGENET1K_V1", init_weights=False)
    loaded = load_model(spec(f"torchvision:{name}", "IMAGENET1K_V1"), tmp_path)
    theirs = tv_models.get_model(name, weights="IMAGENET1K_V1").eval()
    assert theirs.transform_input
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    given = tv_models.get_model_weights(name).IMAGENET1K_V1.transforms()
    scaled = [
        (image - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        for mean, std in ((loaded.mean, loaded.std), (given.mean, given.std))
    ]
    with torch.no_grad():
        assert torch.allclose(loaded.module(scaled[0]), theirs(scaled[1]), atol=1e-4, rtol=1e-3)


def test_published_densenet_files_with_their_old_names_are_read(tmp_path):
    module = tv_models.densenet121(weights=None)
    old = {
        name.replace("norm1.", "norm.1.").replace("norm2.", "norm.2.").replace("conv1.", "conv.1.").replace("conv2.", "conv.2.")
        if "denselayer" in name
        else name: tensor
        for name, tensor in module.state_dict().items()
    }
    assert old.keys() != module.state_dict().keys()
    torch.save(old, tmp_path / "w.pth")
    assert load_model(spec("torchvision:densenet121", "w.pth"), tmp_path).provenance.sha256 == digest(module)


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path):
    assert "nearest: resnet18" in refusal("torchvision:resnet81", tmp_path)
    assert "no classification, segmentation or detection model 'raft_small'" in refusal("torchvision:raft_small", tmp_path)


@pytest.mark.parametrize("wrong", ["IMAGENET1K_V3", "default", "imagenet1k_v1"])
def test_unknown_weights_are_refused_with_those_there_are(tmp_path, wrong):
    said = refusal("torchvision:resnet50", tmp_path, wrong)
    assert f"no weights '{wrong}'; there are IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT" in said


def test_named_weights_come_through_torchvisions_own_download_with_class_names(tmp_path, hub):
    module = serve(hub, SMALL, "IMAGENET1K_V1")
    for weights in ("IMAGENET1K_V1", "DEFAULT"):
        loaded = load_model(spec(f"torchvision:{SMALL}", weights), tmp_path)
        assert loaded.provenance.weights == "IMAGENET1K_V1"
        assert loaded.provenance.sha256 == digest(module)
        assert (len(loaded.class_names), loaded.class_names[1]) == (1000, "goldfish")


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_named_weights_give_the_same_layers_as_none(tmp_path, hub, name):
    serve(hub, name, "IMAGENET1K_V1", init_weights=False)
    named = load_model(spec(f"torchvision:{name}", "IMAGENET1K_V1"), tmp_path).module
    random_ones = load_model(spec(f"torchvision:{name}"), tmp_path).module
    assert [a for a, _ in named.named_parameters()] == [a for a, _ in random_ones.named_parameters()]
    assert named.transform_input == random_ones.transform_input == False  # noqa: E712 (and not None)


def test_a_failed_download_says_what_failed_and_what_works_instead(tmp_path, hub, capsys):
    said = refusal(f"torchvision:{SMALL}", tmp_path, "IMAGENET1K_V1")
    assert "the download of IMAGENET1K_V1 of squeezenet1_1 (https://" in said
    assert "no route to host" in said
    assert said.endswith("a local file works too (weights: FILE.pth)")
    assert capsys.readouterr().out == ""
    assert "\n" not in said


def test_a_local_file_has_class_names_only_if_it_is_the_published_one(tmp_path, monkeypatch):
    published = tv_models.get_model_weights(SMALL).IMAGENET1K_V1.url.rpartition("/")[2]
    for name in ("mine.pth", published):
        torch.save(tv_models.get_model(SMALL, weights=None).state_dict(), tmp_path / name)
        assert load_model(spec(f"torchvision:{SMALL}", name), tmp_path).class_names == ()
    stated = published.rpartition("-")[2].removesuffix(".pth")
    monkeypatch.setattr(source, "_sha256", lambda path: stated + "0" * 56)
    assert load_model(spec(f"torchvision:{SMALL}", "mine.pth"), tmp_path).class_names == ()
    assert len(load_model(spec(f"torchvision:{SMALL}", published), tmp_path).class_names) == 1000


def test_arguments_reach_torchvision_and_wrong_ones_get_one_line(tmp_path):
    assert load_model(spec(f"torchvision:{SMALL}", num_classes=7), tmp_path).module.classifier[1].out_channels == 7
    for wrong in ({"wdith": 2}, {"num_classes": -1}, {"progress": True, "dropout": "x"}):
        said = refusal(f"torchvision:{SMALL}", tmp_path, **wrong)
        assert "cannot be built with these arguments" in said
        assert "\n" not in said


@needs_shared
def test_real_weights_go_into_torchvisions_architecture(tmp_path):
    loaded = load_model(spec("torchvision:squeezenet1_0", str(SHARED / "squeezenet1_0-imagenet.safetensors")), tmp_path)
    zeros = [float((p == 0).float().mean()) for p in loaded.module.parameters() if p.ndim == 4 and p.shape[-1] == 3]
    assert 0.5 < np.mean(zeros) < 0.85  # pruned, as its authors say
    assert loaded.notes == ()


@needs_shared
def test_a_trunk_alone_lists_the_classifier_as_missing(tmp_path):
    said = refusal("torchvision:vgg16", tmp_path, str(SHARED / "vgg16_features-hed.safetensors"))
    first, *rest = said.split("\n")
    assert first.endswith("of its 32 tensors 6 missing")
    assert all("missing 'classifier." in line for line in rest)
    assert len(rest) == 6


# --- the user's own code -----------------------------------------------------------------------------------------------------


def test_a_file_beside_the_spec_is_called_with_its_arguments(nets):
    loaded = load_model(spec("nets:small", width=6, channels=1), nets)
    assert loaded.module[0].weight.shape == (6, 1, 3, 3)
    assert loaded.input_shape == (1, 224, 224)
    assert loaded.provenance.weights == "as its code makes it (seed 0)"


def test_two_specs_may_each_have_their_own_module_of_one_name(nets, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "nets.py").write_text("from torch import nn\nimport parts\nsmall = lambda: nn.Linear(parts.UNITS, 1)\n")
    (other / "parts.py").write_text("UNITS = 9\n")
    first = load_model(spec("nets:small"), nets).module
    second = load_model(spec("nets:small"), other).module
    again = load_model(spec("nets:small"), nets).module
    assert (first[2].out_channels, second.in_features, again[2].out_channels) == (5, 9, 5)


def test_an_edited_file_is_read_anew(nets):
    load_model(spec("nets:small"), nets)
    (nets / "parts.py").write_text("UNITS = 6\n")
    assert load_model(spec("nets:small"), nets).module[2].out_channels == 6


def test_a_module_imported_only_when_called_is_found(nets):
    assert load_model(spec("nets:lazily"), nets).module.out_features == 2


def test_a_package_beside_the_spec_is_found(nets):
    (nets / "zoo" / "inner").mkdir(parents=True)
    (nets / "zoo" / "__init__.py").write_text("")
    (nets / "zoo" / "inner" / "__init__.py").write_text("")
    (nets / "zoo" / "inner" / "small.py").write_text(
        "from ..width import W\nfrom torch import nn\nmake = lambda: nn.Linear(W, 1)\n"
    )
    (nets / "zoo" / "width.py").write_text("W = 4\n")
    assert load_model(spec("zoo.inner.small:make"), nets).module.in_features == 4


@pytest.mark.parametrize("of", ["nets:small", "nets:broken", "nets:nothing"])
def test_importing_leaves_no_trace(nets, of):
    path, modules = list(sys.path), set(sys.modules)
    try:
        load_model(spec(of), nets)
    except ModelError:
        assert of != "nets:small"
    assert sys.path == path
    assert not {"nets", "parts", "late"} & (set(sys.modules) - modules)
    assert not (nets / "__pycache__").exists()


def test_a_module_of_the_same_name_that_was_there_before_stays(nets, monkeypatch):
    before = SimpleNamespace(UNITS=1, __file__="/elsewhere/parts.py")
    monkeypatch.setitem(sys.modules, "parts", before)
    assert load_model(spec("nets:small"), nets).module[2].out_channels == 5
    assert sys.modules["parts"] is before


def test_pythons_own_modules_are_not_replaced_by_files_beside_the_spec(nets):
    (nets / "json.py").write_text("raise RuntimeError\n")
    assert load_model(spec("nets:small"), nets).module is not None


def test_an_installed_module_needs_no_file(tmp_path):
    assert isinstance(load_model(spec("torch.nn:Linear", in_features=2, out_features=3), tmp_path).module, nn.Linear)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ("nets:smal", "nets has no 'smal'; nearest: small"),
        ("netz:small", "no module 'netz' is installed or lies in"),
        ("netz:small", "nearest: nets"),
        ("nets.deeper:small", "no module 'nets.deeper'"),
        ("nets:broken", "failed: parts.py:5: KeyError: 'width'"),
        ("nets:a_dict", "gave a dict, not a torch.nn.Module"),
        ("nets:instance", "is a ReLU; name a class or function"),
        ("nets:number", "is a int; name a class or function"),
    ],
)
def test_what_is_wrong_with_the_users_code_gets_one_line(nets, of, said):
    message = refusal(of, nets)
    assert said in message
    assert "\n" not in message


@pytest.mark.filterwarnings("ignore")
def test_torchscript_modules_are_refused(nets):
    assert "TorchScript" in refusal("nets:scripted", nets)


def test_wrong_arguments_syntax_errors_and_missing_imports_get_one_line(nets):
    assert "unexpected keyword argument 'wdith'" in refusal("nets:small", nets, wdith=3)
    (nets / "late.py").write_text("def make(:\n")
    assert "SyntaxError" in refusal("nets:lazily", nets)
    (nets / "parts.py").write_text("import nonsuch\n")
    assert "parts.py:1: ModuleNotFoundError: No module named 'nonsuch'" in refusal("nets:small", nets)


def test_a_file_goes_into_ones_own_module(nets):
    wanted = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 1))
    torch.save({"net": wanted.state_dict()}, nets / "w.pt")
    loaded = load_model(spec("nets:small", "w.pt"), nets)
    assert loaded.provenance.sha256 == digest(wanted)
    assert loaded.notes == ("read under 'net.' in w.pt",)
    assert "w.pt does not fit nets:small" in refusal("nets:small", nets, "w.pt", width=3)


@needs_shared
def test_a_checkpoint_as_users_have_them_goes_into_ones_own_architecture():
    examples = Path(__file__).parents[1] / "examples"
    if not (examples / "nets.py").exists():
        pytest.skip("examples/ is not here")
    loaded = load_model(spec("nets:resnet20", str(SHARED / "resnet20-cifar10.th"), 32), examples)
    stored = torch.load(SHARED / "resnet20-cifar10.th", map_location="cpu", weights_only=True)["state_dict"]
    assert torch.equal(loaded.module.conv1.weight, stored["module.conv1.weight"])
    assert loaded.input_shape == (3, 32, 32)


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "shufflenet_v2_x0_5", "inception_v3", "fcn_resnet50", "vit_b_32"])
def test_a_module_made_for_a_file_is_the_one_made_with_random_numbers(tmp_path, monkeypatch, name):
    path = tmp_path / "weights.pt"
    module = source.build(name, None, {}).module
    torch.save({key: tensor for key, tensor in module.state_dict().items() if "num_batches" not in key}, path)
    loaded = load_model(spec(f"torchvision:{name}", weights=str(path)), tmp_path)
    monkeypatch.setattr(source, "unfilled", lambda *_: None)
    other = load_model(spec(f"torchvision:{name}", weights=str(path)), tmp_path)
    assert loaded.provenance == other.provenance
    assert loaded.input_shape == other.input_shape
    image = torch.randn(1, *loaded.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = loaded.module(image), other.module(image)
    ours, theirs = (given["out"] if isinstance(given, dict) else given for given in (ours, theirs))
    assert torch.equal(ours, theirs)
    assert not any(tensor.is_meta for tensor in (*loaded.module.parameters(), *loaded.module.buffers()))


def test_a_module_with_numbers_that_no_file_holds_is_built_with_them():
    made = [name for name in ("resnet18", "convnext_tiny", "maxvit_t", "vit_b_32") if source.unfilled(name, {}) is not None]
    assert "resnet18" in made
    assert source.unfilled("resnet18", {"no": "such argument"}) is None
