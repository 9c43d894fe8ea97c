"""Progress and messages on the console: a bar in a terminal or a notebook, plain lines elsewhere."""

from __future__ import annotations

import html
import io
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from convolve.progress import Listener, Message
from convolve.progress import Progress as ProgressEvent

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_UPDATES = 0.1
_WIDTH_IN_FILES = 160
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


class _PlainConsole(Console):
    """A console to which the text that is printed cannot give orders, as the name of a stranger's file might."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(text.translate(_CONTROLS), style)


def open_console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough for every table in a file or a pipe."""
    console = _PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not (console.is_terminal or console.is_jupyter):
        console.width = _WIDTH_IN_FILES
    return console


def to_html(renderables: Iterable[RenderableType]) -> str:
    """What would be printed, as HTML for a notebook."""
    console = Console(
        record=True,
        file=io.StringIO(),
        force_jupyter=False,  # else it would display itself, too
        width=_WIDTH_IN_FILES,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for part in renderables:
        console.print(part, soft_wrap=isinstance(part, str | Text))
    return console.export_html(inline_styles=True, code_format='<pre style="line-height: 1.3">{code}</pre>')


@contextmanager
def report_progress(console: Console) -> Iterator[Listener]:
    """A listener that prints on the console while the block runs."""
    if console.is_jupyter:
        with _NotebookBars() as bars:
            yield bars
        return
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bars(progress)


class _Bars:
    """One bar per piece of work; it disappears when the work is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def __call__(self, event: ProgressEvent | Message) -> None:
        if isinstance(event, Message):
            self._progress.console.print(event.text, markup=False, highlight=False)
            return
        if event.work not in self._bars:
            self._bars[event.work] = self._progress.add_task(event.work, total=event.total, detail="")
        bar = self._bars[event.work]
        self._progress.update(bar, completed=event.done, total=event.total, detail=event.detail)
        if event.done >= event.total:
            self._progress.remove_task(self._bars.pop(event.work))


class _NotebookBars:
    """One output of a cell, updated in place, with a bar for each piece of work; messages are printed.

    Rich's own bars need ipywidgets, and without it warn at every refresh.
    """

    def __init__(self) -> None:
        self._bars: dict[str, str] = {}
        self._output: Any = None
        self._last = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove bars that an exception has left."""
        self._bars.clear()
        if self._output is not None:
            self._show()

    def __call__(self, event: ProgressEvent | Message) -> None:
        if isinstance(event, Message):
            sys.stdout.write(f"{event.text}\n")
            return
        work, detail = html.escape(event.work), html.escape(event.detail)
        bar = f'<progress value="{event.done}" max="{event.total}"></progress>'
        self._bars[event.work] = f"<div>{work} {bar} {event.done}/{event.total} {detail}</div>"
        if event.done >= event.total:
            del self._bars[event.work]
        elif time.monotonic() - self._last < _SECONDS_BETWEEN_UPDATES:
            return
        self._show()

    def _show(self) -> None:
        from IPython.display import display

        self._last = time.monotonic()
        content = {"text/html": "".join(self._bars.values()), "text/plain": ""}
        if self._output is None:
            self._output = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._output.update(content, raw=True)


@dataclass
class _Lines:
    """A line every few seconds, and one at the end of each piece of work."""

    console: Console
    last: float = field(default_factory=time.monotonic)

    def __call__(self, event: ProgressEvent | Message) -> None:
        if isinstance(event, Message):
            self.console.print(event.text, markup=False, highlight=False, soft_wrap=True)
            return
        now = time.monotonic()
        if event.done >= event.total or now - self.last >= _SECONDS_BETWEEN_LINES:
            self.last = now
            line = f"{event.work} {event.done}/{event.total} {event.detail}".rstrip()
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)
