"""DICOM, the format of medical scanners, by pydicom where it is installed: what a radiologist's screen would show."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import UnidentifiedImageError

from convolve.errors import ImageError
from convolve.untrusted.images import check_pixels, check_scans, open_image
from convolve.values import Header, Pixels

MARK: Final = b"DICM"
"""What most files have after 128 bytes that mean nothing."""
SUFFIXES: Final = (".dcm", ".dicom")
_PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
"""The transfer syntax that pydicom unpacks without a limit."""
_COST: Final = 28  # bytes that decoding takes a sample at its peak, all copies together
_Values = npt.NDArray[np.float64]


def read_dicom(content: bytes, name: str) -> Any:
    """What a file holds, its pixels not yet decoded. Raises `ImageError` for one without an image or with several, and
    without pydicom.
    """
    try:
        from pydicom import dcmread
    except ImportError:
        raise ImageError(f"{name} is DICOM and needs pydicom; run `pip install convolve[dicom]`.") from None
    if _DEFLATED in content:
        raise ImageError(f"{name} is a deflated DICOM file; save it without compression.")
    document = dcmread(BytesIO(content), force=True)
    if not any(element in document for element in _PIXELS):
        raise ImageError(f"{name} is a DICOM file without an image; leave it out.")
    count = int(document.get("NumberOfFrames") or 1)
    if count > 1:
        raise ImageError(
            f"{name} is a multi-frame DICOM file of {count} frames; save the ones that you want as images."
        )
    return document


def header_of(document: Any) -> Header:
    """The size, and whether it is gray."""
    gray = document.SamplesPerPixel == 1 and document.PhotometricInterpretation != "PALETTE COLOR"
    return Header((int(document.Rows), int(document.Columns)), gray)


def decode_dicom(document: Any, name: str, length: int) -> Pixels:
    """(H, W, 1) or (H, W, 3) uint8. Gray values are rescaled (as to Hounsfield units), and the first window that the
    file names, or else the range of the values, becomes 0 to 255; where black means much (`MONOCHROME1`), it is turned
    round. Raises `ImageError` for a compression that needs a decoder of its own, and `TooCostlyError` where the file's
    ``length`` in bytes does not vouch for so many pixels.
    """
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
    from pydicom.pixels.utils import pixel_array

    height, width = header_of(document).size
    check_pixels(height * width, _COST * int(document.SamplesPerPixel), length)
    _check_encapsulated(document, name)
    try:
        values = pixel_array(document)
    except (NotImplementedError, RuntimeError) as error:
        kind = document.file_meta.TransferSyntaxUID.name
        raise ImageError(
            f"{name} cannot be decoded ({kind}); run `pip install python-gdcm`, or save it uncompressed."
        ) from error
    if values.shape[:2] != (height, width) or values.ndim > 3:
        raise ImageError(f"{name} does not hold the image of {height}x{width} pixels that it announces; copy it again.")
    bits = int(document.BitsStored) if "BitsStored" in document else 8
    if document.PhotometricInterpretation == "PALETTE COLOR":
        values = apply_color_lut(values, document)
        bits = values.dtype.itemsize * 8
    if values.ndim == 3:
        scaled: _Values = values[..., :3].astype(np.float64) * (255 / (2**bits - 1))
        return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    gray = _to_window(np.asarray(apply_modality_lut(values, document), dtype=np.float64), document)
    if document.PhotometricInterpretation == "MONOCHROME1":
        gray = 1 - gray
    return np.rint(gray * 255).astype(np.uint8)[..., None]


def _check_encapsulated(document: Any, name: str) -> None:
    """Raise `ImageError` where the JPEG or JPEG 2000 in a file is not of the size that the file gives, and
    `TooCostlyError` where its scans take too long.
    """
    from pydicom.encaps import get_frame

    if not document.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    encapsulated = get_frame(document.PixelData, 0, number_of_frames=1)
    height, width = header_of(document).size
    with suppress(UnidentifiedImageError), open_image(encapsulated, ("JPEG", "JPEG2000")) as image:
        if image.size != (width, height):
            raise ImageError(f"{name} holds an image of another size than it gives ({height}x{width}); copy it again.")
        check_scans(encapsulated, height * width)


def _to_window(values: _Values, document: Any) -> _Values:
    """Values between 0 and 1 by the first window or table of the file (DICOM PS3.3, C.11.2.1), or by their range."""
    from pydicom.pixels.processing import apply_voi_lut

    center, width = (_first(document.get(element)) for element in ("WindowCenter", "WindowWidth"))
    function = str(document.get("VOILUTFunction") or "LINEAR")
    if center is not None and width is not None and width >= 1:
        if function == "SIGMOID":
            return np.asarray(1 / (1 + np.exp(-4 * np.clip((values - center) / width, -50, 50))))
        if function != "LINEAR_EXACT":
            center, width = center - 0.5, width - 1
        low, high = center - width / 2, center + width / 2
    else:
        if "VOILUTSequence" in document:
            values = np.asarray(apply_voi_lut(values.astype(np.int64), document), dtype=np.float64)
        low, high = float(values.min()), float(values.max())
    return np.clip((values - low) / (high - low), 0, 1) if high > low else (values > low).astype(np.float64)


def _first(value: Any) -> float | None:
    """The first of several numbers, or the only one."""
    numbers = np.atleast_1d(np.array([] if value is None else value, dtype=np.float64))
    return float(numbers[0]) if len(numbers) else None
