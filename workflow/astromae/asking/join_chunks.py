"""The step of the workflow that puts the answers about all chunks of a list together; it needs no network."""

from collections.abc import Sequence
from pathlib import Path

from astromae.asking.joined import join_parts
from astromae.progress import log


def predict_join(parts: Sequence[Path], table: Path, output: Path) -> None:
    """Put the answers about all chunks of a list together.

    Parameters
    ----------
    parts
        Answers about its chunks, in their order.
    table
        The list.
    output
        Table to write: a row for each of the list, with its columns.

    Raises
    ------
    InputError
        As `astromae.asking.joined.join_parts`.
    """
    log(str(join_parts(parts, table, output)))
