"""Plain tables, written as CSV and for LaTeX: a row a model, under headings where there are several parts."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from astromae.files import atomic_path, write_text


def write_plain_table(
    table: pd.DataFrame,
    csv: Path,
    tex: Path,
    notes: Sequence[str],
    heads: Sequence[str],
    parts: Iterable[tuple[str, Iterable[Sequence[str]]]],
) -> None:
    """Write all of a table as CSV, and some of it for LaTeX (booktabs).

    Parameters
    ----------
    table
        Its numbers.
    csv, tex
        Files to write.
    notes
        Comments that stand before the table for LaTeX.
    heads
        Heads of its columns there, but for the first, ``model``.
    parts
        Heading, empty for none, and rows of cells of each part.
    """
    with atomic_path(csv) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8g", lineterminator="\n")
    lines = [
        *(f"% {note}" for note in notes),
        rf"\begin{{tabular}}{{l{'r' * len(heads)}}}",
        r"\toprule",
        " & ".join(["model", *heads]) + r" \\",
    ]
    for heading, rows in parts:
        lines.append(r"\midrule")
        if heading:
            lines.append(rf"\multicolumn{{{len(heads) + 1}}}{{l}}{{{heading}}} \\")
        lines += [" & ".join(cells) + r" \\" for cells in rows]
    write_text(tex, "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""]))
