"""The notebooks of the docs, and how commands behave in a notebook."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode, v4

from tools import run_docs_commands
from tools.run_docs_commands import read_blocks

DOCS = Path(__file__).parent.parent / "docs"
NOTEBOOKS = ("first_steps.ipynb", "first_steps.ko.ipynb")


def code_notebook(cells: Sequence[str]) -> NotebookNode:
    notebook: NotebookNode = v4.new_notebook()  # type: ignore[no-untyped-call]
    notebook.cells = [v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    return notebook


def execute(folder: Path, *cells: str, allow_errors: bool = False) -> list[list[NotebookNode]]:
    """The outputs of cells, run in one kernel."""
    notebook = code_notebook(cells)
    paths = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, allow_errors=allow_errors, resources=paths).execute(env=dict(os.environ))
    return [cell.outputs for cell in notebook.cells]


def test_the_notebooks_have_ten_cells_and_no_outputs() -> None:
    code: list[list[str]] = []
    for name in NOTEBOOKS:
        notebook = nbformat.read(DOCS / name, 4)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * 10
        assert notebook.metadata.kernelspec.name == "python3"
        code.append([cell.source for cell in cells])
    assert code[0] == code[1]
    assert [block.program for block in read_blocks(DOCS / NOTEBOOKS[0])] == ["notebook"]


def test_a_result_shows_itself_once_and_bars_disappear(tmp_path: Path) -> None:
    train = "convolve.train('digits', network='lenet5_keras', size=16, epochs=1, threads=1, out='run'"
    cells = (
        f"import convolve\n{train})",
        f"{train.replace('run', 'silent')}, progress=False)",
        "convolve.data('digits')",
    )
    loud, silent, data = execute(tmp_path, *cells)
    kinds = [output.output_type for output in loud]
    assert kinds.count("execute_result") == 1
    assert set(kinds) <= {"stream", "display_data", "execute_result"}
    assert {output.name for output in loud if output.output_type == "stream"} == {"stdout"}
    assert "1,797 images, 10 classes" in "".join(output.text for output in loud if output.output_type == "stream")
    assert {output.data["text/html"] for output in loud if output.output_type == "display_data"} <= {""}
    assert "Confusion matrix" in loud[-1].data["text/html"]
    assert [output.output_type for output in silent] == ["execute_result"]
    assert [output.output_type for output in data if output.get("data", {}).get("text/html")] == ["execute_result"]


def test_bars_are_drawn_and_those_of_an_exception_disappear(tmp_path: Path) -> None:
    cell = """
from convolve.console import open_console, report_progress
from convolve.progress import Progress
with report_progress(open_console()) as listener:
    listener(Progress("read", 1, 4, "<b>"))
    drawn = dict(listener._bars)
    raise ValueError
"""
    outputs, (drawn,) = execute(tmp_path, cell, "drawn['read']", allow_errors=True)
    assert eval(drawn.data["text/plain"]) == (  # noqa: S307 - a string as Python writes it
        '<div>read <progress value="1" max="4"></progress> 1/4 &lt;b&gt;</div>'
    )
    assert [output.data["text/html"] for output in outputs if output.output_type == "display_data"] == [""]


def test_notebooks_are_run_and_failures_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original, translation = tmp_path / "guide.ipynb", tmp_path / "guide.ko.ipynb"

    def write(path: Path, *cells: str) -> None:
        path.write_text(json.dumps(code_notebook(cells)), encoding="utf-8")

    for path in (original, translation):
        write(path, "from pathlib import Path\nPath('made').write_text('1')", "assert Path('made').exists()")
    assert run_docs_commands.main([str(original), str(translation)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ok", "same"]
    write(translation, "1 / 0")
    assert run_docs_commands.main([str(translation)]) == 1
    assert "does not have the blocks of" in capsys.readouterr().out
    write(original, "1 / 0")
    assert run_docs_commands.main([str(original)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert not (tmp_path / "made").exists()
