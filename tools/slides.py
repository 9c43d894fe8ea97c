"""Write the lecturer's table in both languages: docs/slides.md and docs/slides.ko.md from docs/slides.toml.

``python tools/slides.py`` in the repository's root. The data say what a row holds; titles of pages are the pages' own.
``tools/run_docs_commands.py`` runs the last column.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path("docs")
OTHER = {"en": "[한국어](slides.ko.md)", "ko": "[English](slides.md)"}
_MARKUP = re.compile(r"[\\`*_\[\]<>|$]")


def page_path(see: str, language: str) -> str:
    """The file of a page below docs/, in a language where it has that."""
    folder, _, name = see.rpartition("/")
    if folder:
        return f"{folder}/{language}/{name}.md"
    translation = f"{name}.{language}.md"
    return translation if (DOCS / translation).exists() else f"{name}.md"


def page_link(see: str, language: str) -> str:
    """A Markdown link to a page, by its title."""
    path = page_path(see, language)
    title = (DOCS / path).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    return f"[{title}]({path})"


def table_row(row: dict[str, Any], language: str, words: dict[str, Any], claims: bool) -> str:
    """One line of the table, with a cell for a claim or without. What follows a command says why it is not run."""
    command = f"`{row['run']}`".replace("|", r"\|") if "run" in row else "–"
    if "minutes" in row:
        command += f" ({words['minutes'].format(row['minutes'])})"
    elif row.get("folder"):
        command += f" ({words['folder']})"
    elif row.get("later"):
        command = words["later"]
    link = page_link(row["see"], language) if "see" in row else "–"
    cells = [_MARKUP.sub(r"\\\g<0>", row["slide"]), _MARKUP.sub(r"\\\g<0>", row[language]), link]
    if claims:
        cells.append(f"`{row['claim']}`" if "claim" in row else "–")
    cells.append(command)
    return f"| {' | '.join(cells)} |"


def slide_page(data: dict[str, Any], language: str) -> str:
    """The whole page in a language; without the column of claims where no row has one."""
    words = data[language]
    claims = any("claim" in row for lecture in data["lecture"] for row in lecture["rows"])
    columns = words["columns"] if claims else [*words["columns"][:3], words["columns"][4]]
    parts = [f"# {words['title']}", OTHER[language], words["text"].strip()]
    heading = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    for lecture in data["lecture"]:
        rows = [table_row(row, language, words, claims) for row in lecture["rows"]]
        parts += [f"## {lecture[language]}", "\n".join([heading, *rows])]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write both pages."""
    data = tomllib.loads((DOCS / "slides.toml").read_text(encoding="utf-8"))
    for language, name in (("en", "slides.md"), ("ko", "slides.ko.md")):
        (DOCS / name).write_text(slide_page(data, language), encoding="utf-8")


if __name__ == "__main__":
    main()
