"""The document of a study: its text, and every number of it from a file of values."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from astromae.documents.compiling import compile_pdf
from astromae.errors import InputError


def write_study_document(source: Sequence[Path], values: Path, figure: Path, output: Path) -> None:
    """Build a study's document as PDF; the same inputs give the same bytes.

    Parameters
    ----------
    source
        Its text, then the files that it reads beside ``values.json`` and ``figure.pdf``.
    values, figure
        These two.
    output
        PDF to write.

    Raises
    ------
    InputError
        If a file is missing, or the text does not compile: with the compiler's message.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for path, copied in [*((path, path.name) for path in source), (values, "values.json"), (figure, "figure.pdf")]:
            if not path.is_file():
                raise InputError(f"{path}: no such file")
            shutil.copyfile(path, folder / copied)
        compile_pdf(folder / source[0].name, source[0], output)
