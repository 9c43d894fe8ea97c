"""The methods of explanation by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from convolve.explainers.cam import cam
from convolve.explainers.deconvnet import deconvnet
from convolve.explainers.eigen_cam import eigen_cam
from convolve.explainers.grad_cam import grad_cam
from convolve.explainers.grad_cam_plus_plus import grad_cam_plus_plus
from convolve.explainers.guided_backpropagation import guided_backpropagation
from convolve.explainers.integrated_gradients import integrated_gradients
from convolve.explainers.layer_cam import layer_cam
from convolve.explainers.occlusion import occlusion
from convolve.explainers.saliency import saliency
from convolve.explainers.score_cam import score_cam
from convolve.explainers.smooth_grad import smooth_grad
from convolve.explainers.untouched import Heat

EDGES = (
    "In Adebayo et al. 2018 its maps hardly changed while the upper layers were re-initialized: they follow the "
    "image's edges."
)
IMAGE = "In Nie et al. 2018 its maps are a partial recovery of the image, whatever the network decides."
NO_CLASS = "Asks for no class: every class gets the same map."


@dataclass(frozen=True)
class Method:
    """One way to ask where in an image a network sees a class.

    ``heat(network, images, classes, stage)`` takes (N, C, H, W) images as the network does, (N,) classes and the name
    of a stage or None, and gives (N, h, w) float32 raw values: at the stage's own resolution where ``staged``, else at
    the images'; it leaves nothing on the network. ``signed``: values below 0 speak against the class. ``sanity`` is
    empty, or the sentence that warns of a method: what the literature found of it, or that it has no regard to the
    class.
    """

    name: str
    title: str
    paper: str
    heat: Heat
    signed: bool = False
    staged: bool = True
    sanity: str = ""


_ALL = (
    Method("cam", "Class activation map", "Zhou et al. 2016, arXiv:1512.04150", cam, signed=True),
    Method("grad-cam", "Grad-CAM", "Selvaraju et al. 2017, arXiv:1610.02391", grad_cam),
    Method("grad-cam++", "Grad-CAM++", "Chattopadhay et al. 2018, arXiv:1710.11063", grad_cam_plus_plus),
    Method("layer-cam", "Layer-CAM", "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943", layer_cam),
    Method("score-cam", "Score-CAM", "Wang et al. 2020, arXiv:1910.01279", score_cam),
    Method("eigen-cam", "Eigen-CAM", "Muhammad, Yeasin 2020, arXiv:2008.00299", eigen_cam, sanity=NO_CLASS),
    Method("saliency", "Saliency", "Simonyan et al. 2013, arXiv:1312.6034", saliency, staged=False),
    Method(
        "guided-backpropagation",
        "Guided backpropagation",
        "Springenberg et al. 2014, arXiv:1412.6806",
        guided_backpropagation,
        staged=False,
        sanity=EDGES,
    ),
    Method(
        "integrated-gradients",
        "Integrated gradients",
        "Sundararajan et al. 2017, arXiv:1703.01365",
        integrated_gradients,
        signed=True,
        staged=False,
    ),
    Method("smooth-grad", "SmoothGrad", "Smilkov et al. 2017, arXiv:1706.03825", smooth_grad, staged=False),
    Method("occlusion", "Occlusion", "Zeiler, Fergus 2013, arXiv:1311.2901", occlusion, signed=True, staged=False),
    Method("deconvnet", "Deconvnet", "Zeiler, Fergus 2013, arXiv:1311.2901", deconvnet, staged=False, sanity=IMAGE),
)
METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _ALL})
"""Every method by name, those that read a stage first."""
