"""The tangent-plane projection, and the exact map from a stamp's pixels to a frame's.

A tangent-plane (gnomonic) image is a central projection of the sphere onto a plane, so going from one such
image to another is a projective map of the plane: a 3x3 matrix, exact, with no distortion terms to fit.
Calabretta & Greisen 2002 (A&A 395, 1077), section 5.1.3, for the projection and its sign conventions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from astromae.constants import PIXEL_SCALE_ARCSEC


@dataclass(frozen=True)
class TangentPlane:
    """World coordinates of a frame.

    Parameters
    ----------
    crval
        Right ascension and declination of the reference point, deg.
    crpix
        Its pixel, counted from 0: column, row.
    cd : array, shape (2, 2)
        Change of the plane's coordinates (east, north) with column and row, deg a pixel.
    """

    crval: tuple[float, float]
    crpix: tuple[float, float]
    cd: np.ndarray

    @classmethod
    def from_header(cls, header: Mapping) -> "TangentPlane":
        """Read the world coordinates of a FITS header.

        Raises
        ------
        ValueError
            If a keyword is missing or the projection is none without distortion onto a tangent plane.
        """
        projection = (header.get("CTYPE1"), header.get("CTYPE2"))
        if projection != ("RA---TAN", "DEC--TAN"):
            raise ValueError(f"its header says CTYPE = {projection}, not RA---TAN, DEC--TAN")
        try:
            cd = np.array([[header[f"CD{i}_{j}"] for j in (1, 2)] for i in (1, 2)], dtype=float)
            crval = (float(header["CRVAL1"]), float(header["CRVAL2"]))
            # FITS counts pixels from 1.
            crpix = (float(header["CRPIX1"]) - 1, float(header["CRPIX2"]) - 1)
        except (KeyError, TypeError) as error:
            raise ValueError(f"its header has incomplete world coordinates: {error}") from error
        if not np.linalg.det(cd):
            raise ValueError("its header's CD matrix is singular")
        return cls(crval, crpix, cd)

    def pixel_to_vector(self) -> np.ndarray:
        """Return the matrix from homogeneous pixels (column, row, 1) to directions on the sky.

        Returns
        -------
        array, shape (3, 3)
            Directions are equatorial Cartesian, of any positive length.
        """
        to_plane = np.eye(3)
        to_plane[:2, :2] = np.radians(self.cd)
        to_plane[:2, 2] = -to_plane[:2, :2] @ self.crpix
        return tangent_basis(*self.crval) @ to_plane


def tangent_basis(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return the unit vectors east, north and outwards of points on the sky, as matrix columns.

    Parameters
    ----------
    ra, dec : array, shape (...)
        Points, deg.

    Returns
    -------
    array, shape (..., 3, 3)
    """
    ra, dec = np.radians(ra), np.radians(dec)
    zero = np.zeros_like(ra)
    east = np.stack([-np.sin(ra), np.cos(ra), zero], axis=-1)
    north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)], axis=-1)
    outwards = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
    return np.stack([east, north, outwards], axis=-1)


def stamp_to_frame(ra: np.ndarray, dec: np.ndarray, size: int, frame: TangentPlane) -> np.ndarray:
    """Return the maps from the pixels of galaxies' stamps to the pixels of a frame.

    A stamp is a tangent plane at its galaxy, which stands in the centre of the pixel grid; north is up,
    east is left.

    Parameters
    ----------
    ra, dec : array of float64, shape (n,)
        Positions of the galaxies, deg.
    size
        Pixels on a stamp's side; the galaxy is at (size - 1) / 2, counted from 0.
    frame
        World coordinates of the frame.

    Returns
    -------
    array of float64, shape (n, 3, 3)
        Each takes homogeneous stamp pixels (column, row, 1) to homogeneous frame pixels (column, row, 1)
        times a factor, positive on the frame's side of the sky.
    """
    scale = np.radians(PIXEL_SCALE_ARCSEC / 3600)
    centre = (size - 1) / 2
    to_plane = np.array([[-scale, 0, scale * centre], [0, scale, -scale * centre], [0, 0, 1]])
    to_pixel = np.linalg.inv(frame.pixel_to_vector())
    return to_pixel @ tangent_basis(np.asarray(ra), np.asarray(dec)) @ to_plane


def apply_map(matrix: np.ndarray, column: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply projective maps to points.

    Parameters
    ----------
    matrix : array, shape (n, 3, 3)
        Maps, see `stamp_to_frame`.
    column, row : array, broadcastable to shape (m,)
        Points that every map is applied to.

    Returns
    -------
    column, row : array, shape (n, m)
        Where the points come to lie; NaN for a point on the other half of the sky.
    """
    terms = matrix[:, :, 0, None] * column + matrix[:, :, 1, None] * row + matrix[:, :, 2, None]
    factor = np.where(terms[:, 2] > 0, terms[:, 2], np.nan)
    return terms[:, 0] / factor, terms[:, 1] / factor


def area_ratio(matrix: np.ndarray, centre: float) -> np.ndarray:
    """Return the area of the pixel at a stamp's centre, in frame pixels.

    Parameters
    ----------
    matrix : array, shape (n, 3, 3)
        Maps, see `stamp_to_frame`.
    centre
        Column and row of the stamp's centre, counted from 0.

    Returns
    -------
    array, shape (n,)
        The Jacobian determinant of a projective map p -> M p / w is det(M) / w^3.
    """
    w = matrix[:, 2, 0] * centre + matrix[:, 2, 1] * centre + matrix[:, 2, 2]
    return np.abs(np.linalg.det(matrix) / w**3)
