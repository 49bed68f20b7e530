"""How many fields each chunk of a catalogue has: what a stamps job has to read."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq


def fields_of_chunks(catalog: str | Path) -> dict[int, int]:
    """Return the number of fields of each chunk of a catalogue.

    Parameters
    ----------
    catalog
        Catalogue (Parquet) with the columns chunk, run, camcol and field.
    """
    columns = ["chunk", "run", "camcol", "field"]
    fields = pq.read_table(catalog, columns=columns, partitioning=None).group_by(columns).aggregate([])
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(fields["chunk"]).to_pylist()}
