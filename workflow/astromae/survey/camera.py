"""The SDSS camera's detectors: gain, dark variance, calibration, sky, and the noise that follows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC
from astromae.errors import InputError
from astromae.photometry import pogson_flux

# Electrons a count and read noise plus dark current squared (counts squared), in bands u, g, r, i, z, as
# the data model page "frame" of the SDSS tabulates them for each camera column.
_GAIN = {
    1: (1.62, 3.32, 4.71, 5.165, 4.745),
    2: (1.595, 3.855, 4.6, 6.565, 5.155),
    3: (1.59, 3.845, 4.72, 4.86, 4.885),
    4: (1.6, 3.995, 4.76, 4.885, 4.775),
    5: (1.47, 4.05, 4.725, 4.64, 3.48),
    6: (2.17, 4.035, 4.895, 4.76, 4.69),
}
_DARK_VARIANCE = {
    1: (9.61, 15.6025, 1.8225, 7.84, 0.81),
    2: (12.6025, 1.44, 1.0, 5.76, 1.0),
    3: (8.7025, 1.3225, 1.3225, 4.6225, 1.0),
    4: (12.6025, 1.96, 1.3225, 6.25, 9.61),
    5: (9.3025, 1.1025, 0.81, 7.84, 1.8225),
    6: (7.0225, 1.8225, 0.9025, 5.0625, 1.21),
}
# Detectors that changed, by camera column and band: later gain and dark variance, and the last run before the change.
# The page gives one gain for (2, "i"), 6.565. The pipeline's own records of run 2583 (psField and photoField, column
# GAIN) say 5.195, and both its sky noise and its calibration agree with the other columns only then.
_GAIN_AFTER = {(2, "u"): (1100, 1.825), (2, "i"): (1500, 5.195)}
_DARK_VARIANCE_AFTER_1500 = {(2, "i"): 6.25, (4, "i"): 7.5625, (4, "z"): 12.6025, (5, "z"): 2.1025}

# Nanomaggies a count, bands u to z. Column 1: medians of NMGYPERCOUNT over photoObj-001000-1-0100; column 2: over
# photoField-002583-2; columns 3 and 4: means of the calibration vectors of the frames 2820-3-122, 3918-3-213 and
# 4510-4-30. Sensitivities in u differ by half between the columns.
_CALIBRATION = {
    1: (0.00707, 0.00310, 0.00478, 0.00688, 0.0334),
    2: (0.01187, 0.00447, 0.00547, 0.00656, 0.0386),
    3: (0.00957, 0.00381, 0.00504, 0.00647, 0.0370),
    4: (0.00977, 0.00365, 0.00513, 0.00630, 0.0365),
}
# Electrons a nanomaggie, medians of these four columns, for the two of which no genuine record was at hand.
_ELECTRONS_NMGY = (165.0, 1039.0, 932.0, 763.0, 133.0)

# Typical sky, AB magnitudes a square arcsecond. The r band is the survey's median, 20.86 (SDSS DR7 page
# "Seeing and sky brightness"); the other bands follow from the median colours of the sky in the runs 1000, 2583, 2820,
# 3918 and 4510 (u-r 1.23, g-r 0.94, r-i 0.59, r-z 1.81), which span 0.4, 0.15, 0.7 and 0.4 mag.
_SKY_MAG_ARCSEC2 = (22.09, 21.80, 20.86, 20.27, 19.05)

#: Standard deviation of the sky's brightness between nights, magnitudes: the quartiles of the same page are 0.33 apart.
SKY_SPREAD_MAG = 0.24


@dataclass(frozen=True)
class Detector:
    """One CCD of the camera.

    Attributes
    ----------
    gain
        Electrons a count.
    dark_variance
        Variance of read noise and dark current, counts squared.
    calibration_nmgy
        Nanomaggies a count, averaged over the detector's columns.
    sky_counts
        Typical sky, counts a pixel.
    """

    gain: float
    dark_variance: float
    calibration_nmgy: float
    sky_counts: float


def detector(run: int, camcol: int, band: str) -> Detector:
    """Return the detector of a camera column and band as it was during a run.

    Raises
    ------
    InputError
        If the camera has no such column or band.
    """
    if camcol not in _GAIN:
        raise InputError(f"camcol: {camcol} is not a column of the SDSS camera; use 1 to 6")
    if band not in BANDS:
        raise InputError(f"band: {band!r} is not a band of SDSS; use one of {', '.join(BANDS)}")
    index = BANDS.index(band)
    last_run, later_gain = _GAIN_AFTER.get((camcol, band), (run, None))
    gain = later_gain if run > last_run else _GAIN[camcol][index]
    dark_variance = _DARK_VARIANCE[camcol][index]
    if run > 1500:
        dark_variance = _DARK_VARIANCE_AFTER_1500.get((camcol, band), dark_variance)
    calibration_nmgy = _CALIBRATION[camcol][index] if camcol in _CALIBRATION else gain / _ELECTRONS_NMGY[index]
    sky_nmgy = float(pogson_flux(_SKY_MAG_ARCSEC2[index])) * PIXEL_SCALE_ARCSEC**2
    return Detector(gain, dark_variance, calibration_nmgy, sky_nmgy / calibration_nmgy)


def count_variance(counts: NDArray[np.float32], gain: float, dark_variance: float) -> NDArray[np.float32]:
    """Return the variance of pixels, counts squared: photons of object and sky, and the dark variance.

    Times the calibration squared it is the variance of a corrected frame in nanomaggies squared (SDSS data
    model page "frame").

    Parameters
    ----------
    counts
        Object plus sky, counts, of any shape.
    gain, dark_variance
        Those of the `Detector`.
    """
    return counts / np.float32(gain) + np.float32(dark_variance)
