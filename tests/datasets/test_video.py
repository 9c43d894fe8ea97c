"""VideoImages of videos that OpenCV itself has written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from convolve.datasets.video import VideoImages, VideoSource, is_stream, parse_every
from convolve.errors import DataError, OptionError
from convolve.marks import has_end_mark


def video(path: Path, count: int = 40, rate: float = 10, size: tuple[int, int] = (48, 64)) -> Path:
    """A gray clip, of which each frame is brighter than the one before; red at its left."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, size[::-1])
    for number in range(count):
        frame = np.full((*size, 3), 5 * number, np.uint8)
        frame[:, :16] = (0, 0, 200)
        writer.write(frame)
    writer.release()
    return path


def _numbers(parts: list[VideoImages]) -> list[int]:
    return [int(part.name(index)[-6:]) for part in parts for index in range(len(part))]


def test_all_frames_come_in_order_a_few_at_a_time(tmp_path: Path) -> None:
    source = VideoSource(str(video(tmp_path / "my.clip.avi")))
    assert (source.expected, source.is_stream, source.is_camera) == (40, True, False)
    parts = list(source.parts(10**6))
    assert [len(part) for part in parts] == [16, 16, 8]
    assert parts[0].name(0) == "my_clip_000000"
    assert _numbers(parts) == list(range(40))
    pixels = parts[1].read(4)
    assert pixels.shape == (48, 64, 3)
    np.testing.assert_allclose(pixels[10, 40], [100] * 3, atol=4)  # the 21st frame
    np.testing.assert_allclose(pixels[10, 5], [200, 0, 0], atol=12)  # red comes first


@pytest.mark.parametrize(
    ("every", "numbers"), [("7", [0, 7, 14, 21, 28, 35]), ("1.5s", [0, 15, 30]), ("0.01s", list(range(40)))]
)
def test_every_so_many_frames_or_seconds(tmp_path: Path, every: str, numbers: list[int]) -> None:
    source = VideoSource(str(video(tmp_path / "clip.avi")), *parse_every(every))
    assert source.expected == len(numbers)
    assert _numbers(list(source.parts(4))) == numbers


def test_it_ends_when_it_is_stopped(tmp_path: Path) -> None:
    answers = iter([False] * 5 + [True])
    source = VideoSource(str(video(tmp_path / "clip.avi")), stopped=lambda: next(answers))
    assert _numbers(list(source.parts(4))) == [0, 1, 2, 3, 4]


def test_drawn_frames_become_a_video_that_is_known_again(tmp_path: Path) -> None:
    source = VideoSource(str(video(tmp_path / "clip.avi", 12)), 2)
    drawn = []
    for part in source.parts(16):
        for index in range(len(part)):
            drawn.append(str(tmp_path / f"{part.name(index)}.png"))
            Image.fromarray(part.read(index)).save(drawn[-1])
    assert source.join_drawn(drawn) == tmp_path / "clip_predicted.mp4"
    assert has_end_mark(tmp_path / "clip_predicted.mp4")
    again = VideoSource(str(tmp_path / "clip_predicted.mp4"))
    assert again._file_fps == pytest.approx(5)
    (part,) = again.parts(16)
    assert [round(float(part.read(index)[10, 40].mean()), -1) for index in range(len(part))] == [0, 10, 20, 30, 40, 50]
    source.join_drawn(drawn)
    (tmp_path / "clip_predicted.mp4").write_bytes(b"another one")
    with pytest.raises(DataError, match="no video that convolve wrote"):
        source.join_drawn(drawn)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.mp4").write_text("#EXTM3U\nhttp://example.org/a.ts\n")
    whole = video(tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[:40])
    for name, reason in (
        ("list.mp4", "no MP4, MOV, AVI, MKV or WebM file"),
        ("cut.avi", "damaged"),
        ("none.avi", "it is no file"),
    ):
        with pytest.raises(DataError, match=reason):
            VideoSource(str(tmp_path / name))
    with pytest.raises(DataError, match="such as camera:0"):
        VideoSource("camera:x")


@pytest.mark.parametrize("every", ["0", "0s", "-1", "2m", "x"])
def test_every_is_a_number_of_frames_or_seconds(every: str) -> None:
    with pytest.raises(OptionError, match="such as 10, or of seconds, such as 2s"):
        parse_every(every)


def test_names_of_streams() -> None:
    assert all(map(is_stream, ("camera:0", "a/b.MP4", "c.webm")))
    assert not any(map(is_stream, ("a.jpg", "folder", "camera.png")))
