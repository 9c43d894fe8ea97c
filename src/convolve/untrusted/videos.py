"""Opening a video of unknown origin: three kinds of files alone, which refer to no other file and no address."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2

from convolve.untrusted.files import is_file, read_start
from convolve.untrusted.images import MAX_PIXELS

Video = cv2.VideoCapture
_START: Final = 16
_ATOMS: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def open_video(path: Path) -> Video:
    """A file whose frames FFmpeg decodes. Raises `ValueError` for what is no MP4, MOV, AVI, MKV or WebM file, and for
    frames that are too large; `OSError`.
    """
    if not is_file(path):
        raise ValueError("it is no file")
    start = read_start(path, _START)
    matroska = start.startswith(b"\x1a\x45\xdf\xa3")
    if not (matroska or start[4:8] in _ATOMS or (start.startswith(b"RIFF") and start[8:12] == b"AVI ")):
        raise ValueError("it is no MP4, MOV, AVI, MKV or WebM file")
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not video.isOpened():
        raise ValueError("it is damaged, or its frames are in a form that OpenCV does not decode")
    pixels = video.get(cv2.CAP_PROP_FRAME_WIDTH) * video.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if not 0 < pixels <= MAX_PIXELS:
        raise ValueError(f"its frames have {pixels:,.0f} pixels")
    return video


def open_camera(number: int) -> Video:
    """A camera of this machine, counted from 0. Raises `ValueError`."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(
        cv2.utils.logging.LOG_LEVEL_SILENT
    )  # it warns of each way in which it looks for the camera
    try:
        camera = cv2.VideoCapture(number)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not camera.isOpened():
        raise ValueError("there is none of this number, or another program uses it")
    return camera
