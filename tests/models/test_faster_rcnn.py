"""Faster R-CNN against torchvision's, against published counts, and on any classifier."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import torchvision
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor

from convolve.errors import NetworkError, WeightsError
from convolve.interop.torchvision_detectors import rename, with_added_variance
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.models import Network, create
from convolve.models.weights import load_weights, translate
from convolve.targets import BoxTensors
from convolve.tasks.detect.suppression import SuppressionRule, detect

_OLD = re.compile(r"(blocks\.\d|head\.conv)(?:\.0)+\.(weight|bias)")
"""Names of today, of which the published file has the former ones."""
_DENSE_SIDE = 7


def head_of(network: Network) -> TwoStageHead:
    assert isinstance(network.head, TwoStageHead)
    return network.head


@pytest.fixture(scope="module")
def theirs() -> Any:
    """torchvision's, with statistics of normalization as after training, and scores that tell regions apart."""
    torch.manual_seed(3)
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=21)
    random = torch.Generator().manual_seed(4)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            count = layer.num_features
            layer.running_mean = 0.1 * torch.randn(count, generator=random)
            layer.running_var = 1 + torch.rand(count, generator=random)
            layer.weight.data.fill_(0.8)
    model.roi_heads.box_predictor.cls_score.weight.data.mul_(60)
    model.rpn.head.cls_logits.weight.data.mul_(30)
    model.rpn.head.bbox_pred.weight.data.mul_(5)
    return model.eval()


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """(1, 3, 416, 640), normalized."""
    pixels = torch.from_numpy(load_sample_image("china.jpg").copy())[None, :416].permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(each)[:, None, None] for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return ((pixels - mean) / std).contiguous()


def translated(theirs: Any, classes: int) -> Network:
    network = create("faster_rcnn_resnet50_fpn", classes)
    assert load_weights(network, rename(network, theirs.state_dict())) == []
    return network.eval()


@torch.no_grad()
def test_boxes_and_scores_are_torchvisions(theirs: Any, photo: Tensor) -> None:
    features = theirs.backbone(photo)
    images = torchvision.models.detection.image_list.ImageList(photo, [(416, 640)])
    proposals, _ = theirs.rpn(images, features)
    expected = theirs.roi_heads(features, proposals, [(416, 640)])[0][0]
    network = translated(theirs, 20)
    head, outputs = head_of(network), network(photo)
    regions = head.propose(outputs, (416, 640), head.options.testing)[0]
    assert len(regions) == len(proposals[0]) == 1000
    assert float(torch.cdist(regions, proposals[0], p=float("inf")).amin(1).max()) < 1e-3  # two have equal scores
    (found,) = detect(head.decode(outputs, (416, 640)), SuppressionRule(iou=0.5, threshold=0.05))
    count = len(expected["boxes"])
    torch.testing.assert_close(found[:count, 4], expected["scores"], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[:count, :4], expected["boxes"], rtol=0, atol=2e-4)
    assert (found[:count, 5] + 1).tolist() == expected["labels"].tolist()


PUBLISHED = {  # layers of the authors' definitions: outputs, inputs, kernel side, for 21 classes with the background
    "faster_rcnn_vgg16": (
        *((64, 3, 3), (64, 64, 3), (128, 64, 3), (128, 128, 3), (256, 128, 3), (256, 256, 3), (256, 256, 3)),
        *((512, 256, 3), *((512, 512, 3),) * 5),
        *((512, 512, 3), (18, 512, 1), (36, 512, 1)),
        *((4096, 512, 7), (4096, 4096, 1), (21, 4096, 1), (84, 4096, 1)),
    ),
    "faster_rcnn_zf": (
        *((96, 3, 7), (256, 96, 5), (384, 256, 3), (384, 384, 3), (256, 384, 3)),
        *((256, 256, 3), (18, 256, 1), (36, 256, 1)),
        *((4096, 256, 6), (4096, 4096, 1), (21, 4096, 1), (84, 4096, 1)),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_of_the_authors_definitions(name: str) -> None:
    with torch.device("meta"):
        network = create(name)
    found = sum(value.numel() for value in network.parameters())
    assert found == sum(outputs * (inputs * side**2 + 1) for outputs, inputs, side in PUBLISHED[name])


def test_parameters_are_torchvisions_less_the_rows_of_unused_classes() -> None:
    with torch.device("meta"):
        theirs = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        ours = create("faster_rcnn_resnet50_fpn")
    counts = [sum(value.numel() for value in network.parameters()) for network in (theirs, ours)]
    assert counts[0] - counts[1] == 10 * 5 * (1024 + 1)


def test_few_anchors_are_computed_as_all_are() -> None:
    network = create("faster_rcnn_resnet18", 3, size=(96, 128)).eval()
    proposals, random = head_of(network).proposals, torch.Generator().manual_seed(0)
    maps = torch.randn(2, proposals.conv.in_channels, 6, 8, generator=random)
    scores, deltas = proposals.rows(*proposals(maps))
    cells, anchors = torch.randint(2 * 48, (40,), generator=random), torch.randint(9, (40,), generator=random)
    found = proposals.at(maps, cells, anchors)
    rows = cells // 48, cells % 48 * 9 + anchors
    torch.testing.assert_close(found, (scores[rows], deltas[rows]))
    nothing = proposals.at(maps, cells[:0], anchors[:0])
    assert [tuple(each.shape) for each in nothing] == [(0,), (0, 4)]


def test_losses_are_torchvisions(theirs: Any, photo: Tensor) -> None:
    """With all anchors and regions sampled, as nothing is random then."""
    boxes = torch.tensor([[30.0, 40, 200, 300], [250, 100, 420, 240], [500, 20, 560, 90]])
    labels = torch.tensor([1, 7, 19])
    theirs.rpn.fg_bg_sampler.batch_size_per_image = theirs.roi_heads.fg_bg_sampler.batch_size_per_image = 10**6
    theirs.rpn.fg_bg_sampler.positive_fraction = theirs.roi_heads.fg_bg_sampler.positive_fraction = 1.0
    images = torchvision.models.detection.image_list.ImageList(photo, [(416, 640)])
    targets = [{"boxes": boxes, "labels": labels}]
    network = translated(theirs, 20)
    head = head_of(network)
    head.options = replace(head.options, samples=10**6, fraction=1.0)
    head.classifier.options = replace(head.classifier.options, samples=10**6, fraction=1.0)
    objects = BoxTensors(boxes, labels - 1, torch.zeros(3, dtype=torch.int64))
    for part in (theirs.rpn, theirs.roi_heads):
        part.train()
    try:
        with torch.no_grad():
            features = theirs.backbone(photo)
            proposals, expected = theirs.rpn(images, features, targets)
            expected |= theirs.roi_heads(features, proposals, [(416, 640)], targets)[1]
            found = head.loss(network(photo), objects, (416, 640))
    finally:
        theirs.eval()
    names = {
        "rpn_class": "loss_objectness",
        "rpn_box": "loss_rpn_box_reg",
        "class": "loss_classifier",
        "box": "loss_box_reg",
    }
    for ours, other in names.items():
        torch.testing.assert_close(found[ours], expected[other], rtol=1e-4, atol=1e-6)
    assert float(found["loss"]) == pytest.approx(sum(map(float, expected.values())), rel=1e-4)


@torch.no_grad()
def test_weights_for_coco_give_the_same_under_their_old_names(photo: Tensor) -> None:
    torch.manual_seed(5)
    frozen = partial(torchvision.ops.FrozenBatchNorm2d, eps=0.0)
    body = torchvision.models.resnet50(norm_layer=frozen)
    theirs = torchvision.models.detection.FasterRCNN(_resnet_fpn_extractor(body, 3), num_classes=91).eval()
    for layer in theirs.backbone.body.modules():
        if isinstance(layer, torchvision.ops.FrozenBatchNorm2d):
            layer.running_var.fill_(2e-3)  # so small that what is added to it matters
            layer.weight.fill_(0.04)
    old = {key: value for key, value in theirs.state_dict().items() if "backbone.body" in key}
    old |= {_OLD.sub(r"\1.\2", key): value for key, value in theirs.state_dict().items() if "backbone.body" not in key}
    network = create("faster_rcnn_resnet50_fpn").eval()
    assert load_weights(network, rename(network, with_added_variance(old))) == []
    image = photo[:, :, :96, :128]
    expected = theirs.backbone(image)["0"]
    found = network(image)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.std()))
    classes = theirs.roi_heads.box_predictor.cls_score.weight
    assert torch.equal(head_of(network).classifier.classes.weight[[0, 1, 12, 80]], classes[[0, 1, 13, 90]])


def test_weights_of_torchvisions_detectors_fit_only_their_twin() -> None:
    network = create("faster_rcnn_resnet18", size=(64, 64))
    with pytest.raises(WeightsError, match="which fit faster_rcnn_resnet50_fpn, not faster_rcnn_resnet18"):
        rename(network, {"backbone.body.conv1.weight": torch.zeros(1)})
    with torch.device("meta"):
        twin = create("faster_rcnn_resnet50_fpn")
    with pytest.raises(WeightsError, match=r"hold 'backbone\.body\.conv9\.weight', which torchvision's faster"):
        rename(twin, {"backbone.body.conv9.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    ("name", "layers", "side"),
    [
        ("resnet18", "stage5 pool flatten", 14),
        ("vgg11", "flatten fc6 relu6 dropout6 fc7 relu7 dropout7", 7),
        ("alexnet", "flatten fc6 relu6 dropout6 fc7 relu7 dropout7", 6),
        ("squeezenet", "flatten fc6 relu6 fc7 relu7", 7),
        ("densenet121", "stage5 pool flatten", 14),
        ("darknet19", "stage5 pool flatten", 14),
        ("googlenet", "stage5 pool flatten", 14),
    ],
)
def test_any_classifier_takes_two_stages(name: str, layers: str, side: int) -> None:
    with torch.device("meta"):
        network = create(f"faster_rcnn_{name}", 5, size=(64, 96)).eval()
        classifier = create(name).eval()
        outputs = network(torch.empty(1, 3, 64, 96))
    head = head_of(network)
    assert [key for key, _ in head.classifier.layers.named_children()] == layers.split()
    assert head.classifier.pool.side == side
    assert head.strides == (16,)
    assert outputs[0].shape[2:] == (4, 6)
    renamed = translate(network, classifier.state_dict(), lambda _, state: state)
    initialized = load_weights_by_name(network, renamed)
    assert not any(key.startswith("stages.") for key in initialized)
    if side != _DENSE_SIDE or "dropout6" in layers:
        assert not any(key.startswith("head.classifier.layers.") for key in initialized)


def load_weights_by_name(network: Network, state: Mapping[str, Tensor]) -> list[str]:
    """What no tensor of the same name and shape is for."""
    return [key for key, value in network.state_dict().items() if key not in state or state[key].shape != value.shape]


@pytest.mark.parametrize("name", ["resnet18", "resnet34_a", "se_resnet50", "darknet53"])
def test_pyramids_on_other_classifiers(name: str) -> None:
    with torch.device("meta"):
        network = create(f"faster_rcnn_{name}_fpn", 5, size=(64, 96)).eval()
        outputs = network(torch.empty(1, 3, 64, 96))
    assert [tuple(map_.shape[1:]) for map_ in outputs[:5]] == [(256, 64 // s, 96 // s) for s in (4, 8, 16, 32)] + [
        (256, 1, 2)
    ]
    assert len(outputs) == 3 * 5
    with pytest.raises(NetworkError, match=r"alexnet has no maps of strides 4, 8, 16 and 32, .* faster_rcnn_alexnet "):
        create("faster_rcnn_alexnet_fpn")


def test_anchors_are_fitted_to_boxes() -> None:
    network = create("faster_rcnn_resnet18_fpn", size=(64, 64))
    head = head_of(network)
    before = head.anchors.clone()
    head.fit_anchors(torch.zeros(3, 2), 0)
    assert torch.equal(head.anchors, before)
    sides = 8 + 100 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
    head.fit_anchors(sides, 0)
    areas = head.anchors.prod(2)
    assert bool((areas[1:].amin(1) >= areas[:-1].amax(1) - 200).all())
    assert float(head.anchors.min()) >= 8
    assert float(head.anchors.max()) <= 109
    single = head_of(create("faster_rcnn_resnet18", size=(64, 64)))
    assert single.anchors[0, 0].tolist() == [184, 96]
