"""The options that only restoration has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from convolve.tasks.info import TaskInfo

Downscaling = Literal["bicubic", "opencv-cubic", "area"]
ImageLoss = Literal["l1", "mse"]


@dataclass(frozen=True)
class RestoreOptions:
    """How images are degraded, in this order: blurred, made smaller, made noisy; and how they are restored."""

    blur_sigma: float | None = None
    """Deblurring: standard deviation of the Gaussian that blurs, in pixels; 0 for none."""
    upscale: int | None = None
    """Super resolution: how many times as high and wide the restored image is, 1 to 4; 1 for none."""
    downscaling: Downscaling | None = None
    """How the small image is made: `bicubic` as MATLAB's imresize, `opencv-cubic` without antialiasing, or the mean of
    each `area`."""
    noise_sigma: float | None = None
    """Denoising: standard deviation of Gaussian noise, in gray levels of 255; 0 for none."""
    loss: ImageLoss | None = None
    """Loss of a pixel: its absolute error, `l1`, or its squared error, `mse`."""
    hole_fraction: float | None = None
    """Inpainting: what fraction of a training image is a hole, on average; each has half of that to one and a half."""
    rebalance: bool | None = None
    """Colorization: whether rare colors weigh more, by how many pixels of the training images have them."""


UNUSED: dict[str, object] = {
    "blur_sigma": 0.0, "upscale": 1, "downscaling": "bicubic", "noise_sigma": 0.0, "loss": "l1", "hole_fraction": 0.0,
    "rebalance": False,
}  # fmt: skip
"""What stands in a recipe for an option that its network does not use."""


@dataclass(frozen=True)
class RestorePredictOptions:
    """What to write."""

    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for the restored images, each a PNG file."""
    mask: Path | None = None
    """Inpainting: an image as large as the one to fill, white in the hole, or a folder of such images with the names of
    those to fill; without one, transparent pixels are the hole."""


@dataclass(frozen=True)
class RestoreConvertOptions:
    """What a network of another program was trained to undo."""

    blur_sigma: float = 0.0
    """Standard deviation of the Gaussian that blurred its training images, in pixels."""
    upscale: int | None = None
    """How many times as high and wide its restored images are; by default as the network enlarges."""
    downscaling: Downscaling = "bicubic"
    """How its small images were made: `bicubic` as MATLAB's imresize, `opencv-cubic`, or `area`."""
    noise_sigma: float = 0.0
    """Standard deviation of the noise in its training images, in gray levels of 255."""


INFO = TaskInfo(
    name="restore",
    title="Restoration",
    output="restored",
    ground_truth="images",
    options=RestoreOptions,
    predict_options=RestorePredictOptions,
    convert_options=RestoreConvertOptions,
    metric_titles={
        "psnr_y": "PSNR (Y)",
        "psnr_gain": "PSNR (Y) gained",
        "ssim_y": "SSIM (Y)",
        "psnr_rgb": "PSNR (RGB)",
        "ssim_rgb": "SSIM (RGB)",
        "psnr_hole": "PSNR (hole)",
        "psnr_hole_gain": "PSNR (hole) gained",
        "ssim_hole": "SSIM (hole)",
        "seam": "Seam",
        "auc_balanced": "AUC (balanced)",
        "auc_gain": "AUC (balanced) gained",
        "auc": "AUC",
        "colorfulness": "Colorfulness",
    },
    fits=("tiles", "crop", "stretch"),
    ranges={"blur_sigma": (0.0, 10.0), "upscale": (1, 4), "noise_sigma": (0.0, 100.0), "hole_fraction": (0.0, 0.6)},
    scored="pixels",
    compared="values",
    layout="images",
    unit="dB",
)
