"""Building the paper: its source, and beside it the values and figures that it reads."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from astromae.documents.compiling import compile_pdf
from astromae.errors import InputError
from astromae.evaluation.records import read_values

#: The source's main file.
MAIN = "astromae.typ"


def assemble(
    source: Path, values: Sequence[Path], figures: Sequence[Path], tables: Sequence[Path], folder: Path
) -> None:
    """Lay out a folder that holds all that the paper is built from, and nothing else.

    Parameters
    ----------
    source
        Folder of the paper's source.
    values
        Named values: ``survey.json``, and one file for each experiment.
    figures
        Figures, found by their names in the folder ``figures``.
    tables
        Tables (CSV), found by their names in the folder ``tables``.
    folder
        Empty folder. Besides copies it gets ``values.json``: ``survey``, ``experiments`` (a list, in the order
        of the files), ``figures`` and ``tables`` (names that are there).

    Raises
    ------
    InputError
        If the source or a file is missing, or no values of a survey are given.
    """
    if not (source / MAIN).is_file():
        raise InputError(f"{source}: holds no {MAIN}")
    shutil.copytree(source, folder, dirs_exist_ok=True)
    survey, experiments = read_values(values)
    content = {"survey": survey, "experiments": experiments}
    for kind, files in (("figure", figures), ("table", tables)):
        (folder / f"{kind}s").mkdir()
        for path in files:
            if not path.is_file():
                raise InputError(f"{path}: no such {kind}")
            shutil.copyfile(path, folder / f"{kind}s" / path.name)
        content[f"{kind}s"] = [path.name for path in files]
    (folder / "values.json").write_text(json.dumps(content), encoding="utf-8")


def write_paper(
    source: Path, values: Sequence[Path], figures: Sequence[Path], tables: Sequence[Path], output: Path
) -> None:
    """Build the paper as PDF; the same inputs give the same bytes.

    Parameters
    ----------
    source, values, figures, tables
        As in `assemble`.
    output
        PDF to write.

    Raises
    ------
    InputError
        As `assemble`, or if the source does not compile: with the compiler's message.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        assemble(source, values, figures, tables, folder)
        compile_pdf(folder / MAIN, source / MAIN, output)
