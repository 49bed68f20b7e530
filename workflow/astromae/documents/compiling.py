"""Compiling a document's source, without system fonts, network or date: the same inputs give the same bytes."""

from pathlib import Path

import typst

from astromae.errors import InputError
from astromae.files import atomic_path
from astromae.progress import log


def compile_pdf(main: Path, source: Path, output: Path) -> None:
    """Compile a document that lies with all that it reads in one folder.

    Parameters
    ----------
    main
        Its main file.
    source
        Where that was copied from, for messages.
    output
        PDF to write.

    Raises
    ------
    InputError
        If it does not compile: with the compiler's message.
    """
    try:
        pdf, warnings = typst.compile_with_warnings(main, root=main.parent, ignore_system_fonts=True, format="pdf")
    except typst.TypstError as error:
        raise InputError(f"{source}: does not compile:\n{error.diagnostic}") from error
    for warning in warnings:
        log(f"{source}: warning: {warning.message}")
    with atomic_path(output) as temporary:
        temporary.write_bytes(pdf)
