"""Galaxies that a catalogue lists more than once: one place on the sky is one galaxy, whatever its identifiers."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from astromae.errors import InputError

#: Positions closer than this are those of one galaxy, arcsec: SDSS resolves nothing closer.
DUPLICATE_RADIUS_ARCSEC = 1.0


def first_of_group(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.intp]:
    """Group positions by friends of friends, and return the first row of each one's group.

    Parameters
    ----------
    ra, dec
        Positions, deg, shape (n,).

    Returns
    -------
    ndarray
        For each position the first row that is linked to it by steps of at most `DUPLICATE_RADIUS_ARCSEC`, shape (n,):
        its own row where there is none before it.
    """
    ra, dec = np.radians(np.asarray(ra, np.float64)), np.radians(np.asarray(dec, np.float64))
    # Equal positions count once: the pairs among n of them would be n squared. As complex numbers they are sorted ten
    # times faster than as rows.
    positions, place = np.unique(ra + 1j * dec, return_inverse=True)
    ra, dec = positions.real, positions.imag
    places = np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    chord = 2 * np.sin(np.radians(DUPLICATE_RADIUS_ARCSEC / 3600) / 2)
    pairs = cKDTree(places).query_pairs(chord, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(places), len(places)))
    count, group = connected_components(links, directed=False)
    group = group[place.reshape(-1)]
    first = np.full(count, len(place))
    np.minimum.at(first, group, np.arange(len(place)))
    return first[group]


def without_duplicates(galaxies: pd.DataFrame, row: str, source: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the first of the rows that are one galaxy.

    Parameters
    ----------
    galaxies
        Columns objid, ra and dec (deg), one row a galaxy.
    row
        Column that says which row of its source a galaxy is.
    source
        Where they come from, for the message.

    Returns
    -------
    galaxies : DataFrame
        The first row of each galaxy.
    left_out : DataFrame
        The others: `row`, objid, ra, dec, reason.

    Raises
    ------
    InputError
        If one objid stands at two places.
    """
    first = first_of_group(galaxies["ra"], galaxies["dec"])
    group = pd.Series(first, index=galaxies.index)
    places = group.groupby(galaxies["objid"]).transform("first")
    if (places != group).any():
        other = int((places != group).to_numpy().argmax())
        objid, rows = galaxies["objid"].to_numpy(), galaxies[row].to_numpy()
        raise InputError(
            f"{source}: row {rows[other]}: objid {objid[other]} is also that of row {rows[objid == objid[other]][0]}, "
            "at another place; an identifier names one galaxy"
        )
    again = first != np.arange(len(galaxies))
    left_out = galaxies.loc[again, [row, "objid", "ra", "dec"]]
    kept = galaxies[row].to_numpy()[first[again]]
    reasons = [f"within {DUPLICATE_RADIUS_ARCSEC:g} arcsec of row {number}: the same galaxy" for number in kept]
    return galaxies[~again].reset_index(drop=True), left_out.assign(reason=reasons)
