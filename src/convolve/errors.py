"""Every error that a user can meet: one sentence that names the thing and the remedy.

The command line prints the sentence and leaves with exit code 2; Python callers catch `ConvolveError` or the noun
they care for. Anything else that is raised is a defect of convolve itself.
"""

from __future__ import annotations

import re
from typing import Final

UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which terminals obey and tables break at, and halves of characters, which no file can hold."""

LONGEST: Final = 2_000
"""Characters of a sentence."""
_LONGEST_VALUE: Final = 200


def escape_text(text: str) -> str:
    r"""A text for a sentence: what is unprintable becomes an escape such as `\x1b`."""
    return UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def shorten(text: str, most: int = _LONGEST_VALUE) -> str:
    """A text without its middle where it is longer than ``most`` characters, or than a value in a sentence needs."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


class ConvolveError(Exception):
    """What went wrong, in one sentence that names the thing and says what to do.

    Its text is one line without control characters, whatever a file is called and however a library puts it, and
    without its middle where a name in it has no end.
    """

    def __str__(self) -> str:
        text = " ".join(re.split(r"[\n\r\t]+", super().__str__().strip()))
        return escape_text(shorten(text, LONGEST))


class OptionError(ConvolveError):
    """An option that does not exist, or a value that it cannot take."""


class DataError(ConvolveError):
    """A dataset that cannot be recognized, read or split."""


class ImageError(ConvolveError):
    """One image that cannot be read; a dataset goes on without it."""


class ChangedImageError(ImageError):
    """An image or a mask that has been read before and is another one now, or none: nothing goes on without it."""

    @classmethod
    def by_size(cls, name: str, before: tuple[int, int], now: tuple[int, int]) -> ChangedImageError:
        """The error of a file whose size (height, width) has changed."""
        sizes = f"it had {before[1]}x{before[0]} pixels, and has {now[1]}x{now[0]} now"
        return cls(f"{name} was changed while it was read ({sizes}); restore it, or start again.")


class NetworkError(ConvolveError):
    """A network that does not exist, or cannot be built as asked."""


class WeightsError(ConvolveError):
    """A weight file that cannot be read, or does not fit its network."""


class RunError(ConvolveError):
    """A run's folder that is missing, incomplete or damaged."""


class ExportError(ConvolveError):
    """A run that cannot be exported as asked, or an export's folder that is missing, incomplete or damaged."""


class ExplainError(ConvolveError):
    """A question that cannot be asked of a network: a method, stage or class that it does not have."""


class ClaimError(ConvolveError):
    """There is no such claim, or what was found of one cannot be read."""


class TrainingError(ConvolveError):
    """A training that cannot continue: non-finite loss, no memory, no disk."""


class Interrupted(TrainingError):  # noqa: N818 - what happened, not a defect
    """A person or the system asked the training to stop; it can be resumed."""
