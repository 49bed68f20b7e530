"""Distributions as a file of qp (https://qp.readthedocs.io): what RAIL and other tools of the field read."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np

from astromae.contracts.densities import read_densities
from astromae.evaluation.densities import point_estimates
from astromae.files import atomic_path


def write_qp(
    path: str | Path, edges: np.ndarray, masses: np.ndarray | Iterable[np.ndarray], ancillary: Mapping[str, np.ndarray]
) -> None:
    """Write distributions as an ensemble of qp's histograms, HDF5, atomically.

    Parameters
    ----------
    path
        File to write.
    edges, masses
        Distributions, as in `astromae.evaluation.densities`; of many the masses in blocks, one after the other. qp
        divides the masses by the widths of the bins.
    ancillary
        What else is known of each galaxy, by name, shape (n,): objid, zmode ...

    Raises
    ------
    ValueError
        If an ancillary column is of another length.
    """
    blocks = [masses] if isinstance(masses, np.ndarray) else masses
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["meta/pdf_name"] = np.array([b"hist"])
        file["meta/pdf_version"] = np.array([0])
        file["meta/bins"] = np.asarray(edges, dtype=np.float64)[None]
        written = 0
        for block in blocks:
            if not written:
                shape = block.shape[1]
                stored = file.create_dataset("data/pdfs", (0, shape), block.dtype, maxshape=(None, shape), chunks=True)
            stored.resize(written + len(block), axis=0)
            stored[written:] = block
            written += len(block)
        wrong = [name for name, values in ancillary.items() if len(values) != written]
        if wrong:
            raise ValueError(f"{wrong[0]} has {len(ancillary[wrong[0]])} values for {written} distributions")
        for name, values in ancillary.items():
            file[f"ancil/{name}"] = values


def export_qp(predictions: Path, output: Path, subset: str = "test") -> None:
    """Write the distributions of a subset, from a file of predictions, as a file of qp.

    Beside the distributions stand objid, ``redshift``, the true one, and the point estimates ``zmean``, ``zmedian`` and
    ``zmode``, as RAIL calls them.

    Raises
    ------
    InputError
        If it is no such file, its task predicts no distributions, or it has no galaxy of the subset.
    """
    given = read_densities(predictions, subset)
    points = point_estimates(given.edges, given.masses)
    ancillary = {"objid": given.objid, "redshift": given.target}
    ancillary |= {f"z{name}": points[name] for name in ("mean", "median", "mode")}
    write_qp(output, given.edges, given.masses, ancillary)
