from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from convolve.errors import ExplainError
from convolve.explainers import methods
from convolve.explainers.methods import METHODS, attributions, scale
from convolve.explainers.score_targets import ClassScore
from convolve.models import Network, create
from tests.explainers.small import CLASSES, images, network

MANY = (
    *("linear", "maxout", "lenet5", "lenet5_keras", "alexnet", "zfnet", "nin_cifar", "vgg11", "googlenet"),
    *("bn_inception", "resnet20_cifar", "resnet50", "preact_resnet110_cifar", "densenet40_cifar", "se_resnet50"),
    *("inception_v4", "inception_resnet_v2", "resnext50"),
)
QUICK = [name for name in METHODS if name not in ("score-cam", "occlusion", "smooth-grad", "integrated-gradients")]
TARGET = ClassScore(torch.tensor([1, 4]))


@pytest.fixture(scope="module", params=MANY)
def many(request: pytest.FixtureRequest) -> Network:
    return network(request.param)


@pytest.mark.parametrize("method", QUICK)
def test_every_network_has_finite_maps_of_its_images_size(many: Network, method: str) -> None:
    given = images(many)
    if method == "cam" and many.card.name in (
        "linear",
        "maxout",
        "lenet5",
        "lenet5_keras",
        "alexnet",
        "zfnet",
        "vgg11",
    ):
        pytest.skip("without global average pooling")
    found = attributions(many, method, given, TARGET)
    assert found.shape == (2, *given.shape[2:])
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert METHODS[method].signed or found.min() >= 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["lenet5_keras", "resnet20_cifar"])
def test_every_method_has_maps_that_depend_on_the_image(name: str, method: str) -> None:
    of = network(name)
    if method == "cam" and name == "lenet5_keras":
        pytest.skip("without global average pooling")
    stage = "stage1" if METHODS[method].layered and method != "cam" else None
    found = attributions(of, method, images(of), TARGET, stage)
    assert found.isfinite().all()
    assert found.flatten(1).std(1).min() > 0
    assert not torch.allclose(found[0], found[1])
    assert METHODS[method].signed == bool(found.min() < 0)


@pytest.mark.parametrize("method", METHODS)
def test_an_image_has_the_same_map_alone_and_among_others(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of = network("resnet20_cifar")
    given, stage = images(of, 3), "stage1" if method == "score-cam" else None
    target = ClassScore(torch.tensor([0, 3, 5]))
    together = attributions(of, method, given, target, stage)
    monkeypatch.setattr(methods, "BATCH", 1)
    of.train()
    with torch.inference_mode():
        last = given.clone().contiguous(memory_format=torch.channels_last)
        alone = attributions(of, method, last, target, stage)
    torch.testing.assert_close(alone, together, rtol=1e-3, atol=1e-4 * float(together.abs().max()))


@pytest.mark.parametrize("method", QUICK)
def test_bfloat16_gives_nearly_the_same(method: str) -> None:
    of = network("resnet20_cifar")
    exact = attributions(of, method, images(of), TARGET)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = attributions(of, method, images(of), TARGET)
    assert rounded.dtype == torch.float32
    for one, other in zip(exact, rounded, strict=True):
        assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1] > 0.9


@pytest.mark.parametrize("method", ["cam", "grad-cam", "grad-cam++", "layer-cam", "eigen-cam", "saliency"])
@pytest.mark.parametrize(("down", "across"), [(1, 0), (-2, 3)])
def test_a_shifted_image_shifts_its_map(method: str, down: int, across: int) -> None:
    """Without biases black stays black in every map, so that the border plays no part: by whole steps of the stage."""
    of = create("resnet20_cifar", CLASSES, seed=3).eval()
    given = F.pad(images(of, 1)[:, :, :8, :8], (76, 76, 76, 76))
    moved = given.roll((4 * down, 4 * across), (2, 3))
    step = 4 if method == "saliency" else 1
    maps, shifted = (
        METHODS[method].attribute(of, some, ClassScore(torch.tensor([1])), None) for some in (given, moved)
    )
    expected = maps.roll((step * down, step * across), (1, 2))
    assert expected.abs().max() > 0
    torch.testing.assert_close(shifted, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_maps_of_a_stage_are_enlarged_bilinearly() -> None:
    of = network("resnet20_cifar")
    raw = METHODS["grad-cam"].attribute(of, images(of), TARGET, "stage2")
    assert raw.shape == (2, 16, 16)
    larger = F.interpolate(raw[None], scale_factor=2.0, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(attributions(of, "grad-cam", images(of), TARGET, "stage2"), larger)


def test_the_default_stage_is_the_last_with_a_map() -> None:
    lenet, resnet = network("lenet5"), network("resnet18")
    assert METHODS["grad-cam"].attribute(lenet, images(lenet), TARGET, None).shape == (2, 5, 5)
    assert METHODS["grad-cam"].attribute(resnet, images(resnet), TARGET, None).shape == (2, 2, 2)
    assert METHODS["grad-cam"].attribute(resnet, images(resnet, larger=3), TARGET, None).shape == (2, 3, 3)
    vgg = network("vgg11")
    assert METHODS["eigen-cam"].attribute(vgg, images(vgg), TARGET, None).shape == (2, 2, 2)


def test_scale_divides_by_the_largest_magnitude() -> None:
    maps = torch.tensor([[[0.0, 2.0], [1.0, 4.0]], [[-8.0, 2.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    expected = torch.tensor([[[0.0, 0.5], [0.25, 1.0]], [[-1.0, 0.25], [0.0, 0.5]], [[0.0, 0.0], [0.0, 0.0]]])
    assert torch.equal(scale(maps), expected)


def test_mistakes_are_one_sentence() -> None:
    of = network("resnet20_cifar")
    given = images(of)
    with pytest.raises(ExplainError, match=r"no method named 'gradcam'. Did you mean grad-cam\? Known: cam, "):
        attributions(of, "gradcam", given, TARGET)
    with pytest.raises(ExplainError, match="has no stage 'layer4'; its stages are stage1, stage2, stage3"):
        attributions(of, "grad-cam", given, TARGET, "layer4")
    with pytest.raises(ExplainError, match=r"saliency goes down to the pixels and takes no stage or layer.*'stage1'"):
        attributions(of, "saliency", given, TARGET, "stage1")
    with pytest.raises(ExplainError, match="2 images need as many targets, not 1"):
        attributions(of, "saliency", given, ClassScore(torch.tensor([1])))


@pytest.mark.parametrize("method", [name for name in METHODS if name != "eigen-cam"])
@pytest.mark.parametrize("kind", [-1, 6])
def test_a_class_out_of_range_is_named(method: str, kind: int) -> None:
    of = network("nin_cifar" if kind == 6 and method == "cam" else "resnet20_cifar")
    with pytest.raises(ExplainError, match=f"no class {kind}: the network's 6 classes are 0 to 5"):
        attributions(
            of, method, images(of), ClassScore(torch.tensor([0, kind])), "stage1" if method == "score-cam" else None
        )
