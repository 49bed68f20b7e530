"""Photometry that no network can learn from: magnitudes without information, bands without pixels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from astromae.errors import InputError

#: Scatter below which magnitudes, or a combination of them, count as constant, mag: no survey measures so well.
LEAST_SCATTER_MAG = 1e-3

#: Noise of the sky below which pixels cannot be nanomaggies: SDSS frames have some 0.02, the deepest images of any
#: survey 1e-3. Maggies are 1e9 times smaller, janskies 3e5 times.
LEAST_NOISE_NMGY = 1e-5


def check_magnitudes(magnitudes: NDArray, source: object, bands: Sequence[str]) -> None:
    """Refuse magnitudes of which one is constant, a copy, or follows from the others.

    Parameters
    ----------
    magnitudes
        Magnitudes, shape (n, bands); NaN where there is none. Galaxies that lack one do not count.
    source
        Where they come from, for the message.
    bands
        Names of the bands.

    Raises
    ------
    InputError
        If their covariance is singular: names the band and what is likely.
    """
    complete = magnitudes[np.isfinite(magnitudes).all(axis=1)]
    if len(complete) <= len(bands):
        return
    where = f"{source}: of {len(complete)} galaxies with all {len(bands)} magnitudes"
    for band, column in zip(bands, complete.T, strict=True):
        if column.std() < LEAST_SCATTER_MAG:
            raise InputError(
                f"{where} all have mag_{band} = {column.mean():.6g}, which looks like a placeholder; "
                f"give the measured magnitudes, or leave the column out"
            )
    for index, band in enumerate(bands):
        for other in range(index):
            if np.std(complete[:, index] - complete[:, other]) < LEAST_SCATTER_MAG:
                raise InputError(
                    f"{where} all have the same colour mag_{bands[other]} - mag_{band}, as if one were a copy of the "
                    "other; give the measured magnitudes, or leave one column out"
                )
    variances, vectors = np.linalg.eigh(np.cov(complete, rowvar=False))
    if variances[0] < LEAST_SCATTER_MAG**2:
        involved = [f"mag_{band}" for band, weight in zip(bands, vectors[:, 0], strict=True) if abs(weight) > 0.01]
        raise InputError(
            f"{where} {', '.join(involved)} follow from one another, as if one were computed from the others; "
            "give the measured magnitudes, or leave that column out"
        )


def border_noise(images: NDArray) -> NDArray[np.float64]:
    """Return the noise of the sky in each band: 1.4826 times the median absolute deviation of the stamps' borders.

    Parameters
    ----------
    images
        Stamps, shape (n, bands, h, w). Along their borders there is least galaxy.
    """
    x = images.astype(np.float32)
    border = np.concatenate([x[..., 0, :], x[..., -1, :], x[..., :, 0], x[..., :, -1]], axis=-1)
    border = border.transpose(1, 0, 2).reshape(x.shape[1], -1)
    centred = border - np.nanmedian(border, axis=1, keepdims=True)
    return 1.4826 * np.nanmedian(np.abs(centred), axis=1)


def check_pixels(images: NDArray, source: object, bands: Sequence[str]) -> None:
    """Refuse stamps of which a band is empty, or whose pixels are in another unit.

    Parameters
    ----------
    images
        Stamps, shape (n, bands, h, w), nanomaggies a pixel.
    source
        Where they come from, for the message.
    bands
        Names of the bands.

    Raises
    ------
    InputError
        If a band has no noise, or much less than the sky has: names the band and what is likely.
    """
    if not len(images):
        return
    for index, band in enumerate(bands):
        pixels = images[:, index]
        finite = pixels[np.isfinite(pixels)]
        if not len(finite) or finite.min() == finite.max():
            held = f"{finite[0] + 0.0:g}" if len(finite) else "no number"
            raise InputError(
                f"{source}: band {band} holds {held} in every pixel of {len(images)} stamps: it is missing, or lies "
                f"elsewhere along the axis of bands ({', '.join(bands)}); pixels in maggies also become 0"
            )
    for band, noise in zip(bands, border_noise(images), strict=True):
        if noise < LEAST_NOISE_NMGY:
            raise InputError(
                f"{source}: the sky in band {band} has a noise of {noise:.2g}, where some 0.02 nanomaggies a pixel are "
                "usual: the pixels look like maggies (multiply them by 1e9) or are blank at the stamps' borders"
            )


def check_finite(images: NDArray[np.float16], objid: NDArray[np.int64]) -> None:
    """Raise InputError, naming the galaxies, if a stamp (of n, bands, h, w) holds a pixel that is not finite."""
    finite = np.isfinite(images).reshape(len(images), -1).all(axis=1)
    if not finite.all():
        raise InputError(
            f"stamps with pixels that are not finite: objid {objid[~finite][:10].tolist()} "
            f"({(~finite).sum()} in all); cut them anew or drop them from the catalogue"
        )
