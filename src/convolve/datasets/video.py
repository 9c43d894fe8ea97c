"""Video files and cameras as sources of images: their frames, a few at a time, in order; and images as a video."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

import cv2
import numpy as np

from convolve.datasets.images import EncodedArray, TakenImages
from convolve.errors import DataError, OptionError
from convolve.files import check_replaceable
from convolve.marks import has_end_mark, write_end_mark
from convolve.untrusted.videos import Video, open_camera, open_video
from convolve.values import Images, Indices, Pixels

CAMERA: Final = "camera:"
_SUFFIXES: Final = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
_INTERVAL: Final = re.compile(r"(\d+)|(\d+(?:\.\d+)?)s")
_MOST_IMAGES: Final = 16
_USUAL_FPS: Final = 25.0  # frames a second, where a file or a camera does not say


def is_stream(name: str) -> bool:
    """Whether a name is that of a video file or of a camera, such as `camera:0`."""
    return name.startswith(CAMERA) or name.casefold().endswith(_SUFFIXES)


@final
@dataclass(frozen=True, eq=False)
class VideoImages(Images):
    """Some frames in memory, each (H, W, 3), with their names."""

    names: tuple[str, ...]
    pixels: tuple[Pixels, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """The video's name and the frame's number."""
        return self.names[index]

    def open(self, index: int) -> EncodedArray:
        """A frame, a view."""
        return EncodedArray(self.pixels[index])

    def take(self, indices: Indices) -> TakenImages:
        """Some of the frames, in the order asked."""
        return TakenImages(self, np.asarray(indices, dtype=np.int64))


@final
@dataclass
class VideoSource:
    """The frames of a video file or of a camera, called `NAME_000000` by their numbers, of which each ``step``-th is
    taken, or one every so many ``seconds``. It ends with the video, or once ``stopped`` says so.
    """

    name: str
    step: int = 1
    seconds: float = 0.0
    stopped: Callable[[], bool] = lambda: False
    _fps: float = field(init=False, repr=False)
    _video: Video = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises `DataError`."""
        try:
            self._video = open_camera(self._camera) if self.is_camera else open_video(Path(self.name))
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            remedy = (
                "give the number of another" if self.is_camera else "convert it to MP4, or give its frames as images"
            )
            raise DataError(f"{self.name} cannot be opened ({reason}); {remedy}.") from error
        self._fps = self._file_fps / self._stride

    @property
    def is_stream(self) -> bool:
        """Always."""
        return True

    @property
    def is_camera(self) -> bool:
        """Whether it ends only when it is stopped."""
        return self.name.startswith(CAMERA)

    @property
    def _stem(self) -> str:
        return re.sub(r"[.:]", "_", self.name if self.is_camera else Path(self.name).stem)

    @property
    def expected(self) -> int:
        """About how many frames it has; 0 where that is not known."""
        count = 0 if self.is_camera else max(0, int(self._video.get(cv2.CAP_PROP_FRAME_COUNT)))
        return -(-count // self._stride)

    def parts(self, most: int) -> Iterator[VideoImages]:
        """The frames in order, ``most`` at a time, and 16 at most."""
        names: list[str] = []
        pixels: list[Pixels] = []
        for number, image in self._read():
            names.append(f"{self._stem}_{number:06}")
            pixels.append(image)
            if len(names) == min(most, _MOST_IMAGES):
                yield VideoImages(tuple(names), tuple(pixels))
                names, pixels = [], []
        if names:
            yield VideoImages(tuple(names), tuple(pixels))

    def join_drawn(self, drawn: Sequence[str]) -> Path | None:
        """An MP4 file next to the images."""
        if not drawn:
            return None
        path = Path(drawn[0]).parent / f"{self._stem}_predicted.mp4"
        _write_video(path, drawn, self._fps)
        return path

    def _read(self) -> Iterator[tuple[int, Pixels]]:
        number = taken = 0
        begin = due = time.monotonic()
        try:
            while not self.stopped() and self._video.grab():
                wanted = time.monotonic() >= due if self._by_clock else number % self._stride == 0
                read, image = self._video.retrieve() if wanted else (False, None)
                if read and image is not None:
                    due, taken = due + self.seconds, taken + 1
                    if self.is_camera:
                        self._fps = taken / max(time.monotonic() - begin, 1e-3)
                    yield number, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
                number += 1
        finally:
            self._video.release()

    @property
    def _camera(self) -> int:
        number = self.name.removeprefix(CAMERA)
        if not number.isdecimal():
            raise ValueError("the number of the camera is missing, such as camera:0")
        return int(number)

    @property
    def _by_clock(self) -> bool:
        return self.is_camera and self.seconds > 0

    @property
    def _stride(self) -> int:
        return max(1, round(self.seconds * self._file_fps)) if self.seconds else self.step

    @property
    def _file_fps(self) -> float:
        fps = self._video.get(cv2.CAP_PROP_FPS)
        return fps if 0 < fps < float("inf") else _USUAL_FPS


def parse_every(text: str | None) -> tuple[int, float]:
    """The step in frames (`10`) or the seconds (`2s`, `0.5s`) between two frames that are taken; the other is 1 or 0.
    Raises `OptionError`.
    """
    found = _INTERVAL.fullmatch(text or "1")
    step, seconds = (found[1] or "1", found[2] or "0") if found else ("0", "0")
    if int(step) < 1 or (found and found[2] and float(seconds) <= 0):
        raise OptionError(f"every cannot be {text}; write a number of frames, such as 10, or of seconds, such as 2s.")
    return int(step), float(seconds)


def _write_video(path: Path, images: Sequence[str], fps: float) -> None:
    """Write image files as the frames of an MP4 file, at the size of the first one, ``fps`` to the second. Raises
    `DataError` where another file would be lost.
    """
    check_replaceable(path, has_end_mark, "video that convolve wrote")
    writer = None
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        draft = Path(folder, path.name)
        for name in images:
            image = cv2.imdecode(np.frombuffer(Path(name).read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            if image is None:
                raise DataError(f"{name} was changed while it was read; start again.")
            if writer is None:
                size = (image.shape[1], image.shape[0])
                writer = cv2.VideoWriter(str(draft), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
            writer.write(image if image.shape[1::-1] == size else cv2.resize(image, size))
        if writer is not None:
            writer.release()
            write_end_mark(draft)
            draft.replace(path)
