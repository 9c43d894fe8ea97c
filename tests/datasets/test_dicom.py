"""DICOM files, by pydicom where it is installed."""

from __future__ import annotations

import builtins
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convolve.datasets.images import EncodedFile
from convolve.datasets.inventory import has_image_signature, take_inventory
from convolve.datasets.layouts import open_dataset
from convolve.datasets.survey import survey
from convolve.errors import DataError, ImageError
from tests.datasets.ground_truths import labels_of

SLOPES = {"RescaleSlope": 2, "RescaleIntercept": -100}


def encoded(values: Any, **elements: Any) -> bytes:
    """An uncompressed file of those values, with the elements in their order."""
    pydicom = pytest.importorskip("pydicom")
    array = np.asarray(values)
    document = pydicom.Dataset()
    document.file_meta = pydicom.dataset.FileMetaDataset()
    document.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    document.file_meta.MediaStorageSOPClassUID = document.SOPClassUID = pydicom.uid.CTImageStorage
    document.file_meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID = "1.2.3"
    document.Rows, document.Columns = array.shape[:2]
    document.SamplesPerPixel = 3 if array.ndim == 3 else 1
    document.PhotometricInterpretation = "RGB" if array.ndim == 3 else "MONOCHROME2"
    if array.ndim == 3:
        document.PlanarConfiguration = 0
    document.BitsAllocated = document.BitsStored = array.dtype.itemsize * 8
    document.HighBit = document.BitsStored - 1
    document.PixelRepresentation = int(array.dtype.kind == "i")
    document.PixelData = array.tobytes()
    for name, value in elements.items():
        setattr(document, name, value)
    stream = io.BytesIO()
    document.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def decode(values: Any, **elements: Any) -> Any:
    file = EncodedFile(encoded(values, **elements), "1.dcm")
    pixels = file.decode()
    assert (file.header.size, file.header.gray) == (pixels.shape[:2], pixels.shape[2] == 1)
    return pixels


RAMP = np.arange(0, 400, 25, dtype=np.int16).reshape(4, 4)


@pytest.mark.parametrize(
    ("elements", "low", "high"),
    [
        ({"WindowCenter": 150.5, "WindowWidth": 101}, 100, 200),
        ({"WindowCenter": [150.5, 40], "WindowWidth": [101, 80]}, 100, 200),
        ({"WindowCenter": 150, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}, 100, 200),
        ({"WindowCenter": 100.5, "WindowWidth": 201, **SLOPES}, 50, 150),
        (SLOPES, 0, 375),
        ({"WindowCenter": 5, "WindowWidth": 0}, 0, 375),
        ({}, 0, 375),
    ],
)
def test_windows(elements: dict[str, Any], low: int, high: int) -> None:
    wanted = np.rint(np.clip((RAMP - low) / (high - low), 0, 1) * 255)
    assert decode(RAMP, **elements)[..., 0].tolist() == wanted.tolist()
    dark = decode(RAMP, **elements, PhotometricInterpretation="MONOCHROME1")[..., 0]
    np.testing.assert_allclose(dark, 255 - wanted, atol=1)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_agree_with_those_of_pydicom(function: str) -> None:
    pixels = pytest.importorskip("pydicom.pixels")
    pydicom = pytest.importorskip("pydicom")
    values = np.random.default_rng(0).integers(-1000, 3000, (16, 16)).astype(np.int16)
    blob = encoded(values, WindowCenter=40, WindowWidth=350, VOILUTFunction=function, **SLOPES)
    document = pydicom.dcmread(io.BytesIO(blob))
    theirs = pixels.apply_windowing(pixels.apply_modality_lut(document.pixel_array, document), document)
    low, high = -(2**15) * 2 - 100, (2**15 - 1) * 2 - 100  # the range of what the file could hold
    wanted = (theirs - low) / (high - low) * 255
    np.testing.assert_allclose(EncodedFile(blob, "1.dcm").decode()[..., 0], wanted, atol=0.51)


def test_one_value_and_colors() -> None:
    assert decode(np.full((2, 3), 7, np.uint8)).tolist() == [[[0]] * 3] * 2
    color = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    assert decode(color).tolist() == color.tolist()
    deep = color.astype(np.uint16) * 257
    assert decode(deep).tolist() == color.tolist()


def test_the_files_that_come_with_pydicom() -> None:
    pydicom = pytest.importorskip("pydicom")
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    read = []
    for path in sorted(folder.glob("*.dcm")):
        file = EncodedFile(path.read_bytes(), path.name)
        try:
            pixels = file.decode()
        except ImageError as error:
            assert str(error).startswith(path.name)  # noqa: PT017
        else:
            assert (file.header.size, file.header.gray) == (pixels.shape[:2], pixels.shape[2] == 1)
            read.append(path.name)
    assert {"CT_small.dcm", "MR_small.dcm", "examples_palette.dcm", "SC_ybr_full_422_uncompressed.dcm"} <= set(read)


def test_what_cannot_be_decoded() -> None:
    pydicom = pytest.importorskip("pydicom")
    two = EncodedFile(encoded(RAMP[:2], NumberOfFrames=2, Rows=1, Columns=4), "1.dcm")
    with pytest.raises(
        ImageError, match=r"1\.dcm is a multi-frame DICOM file of 2 frames; save the ones that you want as images\."
    ):
        two.decode()
    large = EncodedFile(encoded(RAMP, Rows=60000, Columns=60000), "1.dcm")
    with pytest.raises(ImageError, match=r"1\.dcm has more than 89 million pixels"):
        large.decode()
    cut = EncodedFile(encoded(RAMP)[:-8], "1.dcm")
    with pytest.raises(ImageError, match=r"1\.dcm is damaged or cut short"):
        cut.decode()
    with pytest.raises(ImageError, match=r"1\.dcm is a DICOM file without an image"):
        EncodedFile(b"no such thing" * 20, "1.dcm").decode()
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "MR_small_jpeg_ls_lossless.dcm"
    with pytest.raises(ImageError, match=r"cannot be decoded \(JPEG-LS Lossless.*\); run `pip install python-gdcm`"):
        EncodedFile(path.read_bytes(), path.name).decode()


def test_folders_of_them(tmp_path: Path) -> None:
    for name in ("a/1.dcm", "a/IM000002", "a/1.2.840.3", "b/4.DCM"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(RAMP))
    (tmp_path / "DICOMDIR").write_bytes(encoded(RAMP))
    data = open_dataset(tmp_path)
    assert (data.layout, labels_of(data).counts().tolist(), data.notes) == ("folders", [3, 1], ())
    assert len(survey(data.images).failed) == 0


def test_a_table_of_their_names(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"p{number}.dcm").write_bytes(encoded(RAMP))
    (tmp_path / "labels.csv").write_text("patientId,Target\np0,0\np1,1\np2,0\np3,1\n")
    data = open_dataset(tmp_path)
    assert (data.layout, labels_of(data).values.tolist()) == ("table", [0, 1, 0, 1])


def test_without_pydicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("pydicom"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for name in ("a/1.dcm", "b/IM2"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    assert take_inventory(tmp_path).images == ("a/1.dcm", "b/IM2")
    assert not has_image_signature(tmp_path / "DICOMDIR")
    with pytest.raises(DataError, match=r"IM2 is DICOM and needs pydicom; run `pip install convolve\[dicom\]`\."):
        survey(open_dataset(tmp_path).images)
