"""Flags: why an answer may not mean what it says."""

from collections.abc import Mapping, Sequence

import numpy as np

from astromae.familiarity.seen import StampMeasures, outside

#: Every flag with its meaning, in their order.
FLAGS = {
    "no_stamp": "there is no stamp, and the model reads one: no answer",
    "no_magnitudes": "a magnitude is missing, and the model reads them: no answer",
    "edge": "a row or column at the stamp's border is blank: it reaches beyond its image",
    "saturated": "a pixel is more than twice as bright as in any training galaxy: a star, a cosmic ray, another unit",
    "empty": "in some band the centre is less than half as bright as in any training galaxy",
    "neighbour": "another object in the stamp is brighter than the one in its centre",
    "noise": "the noise in some band is less than half or more than twice that of training galaxies: another unit",
    "offset": "stamp and catalogue differ in brightness as for no training galaxy: units, bands, or another object",
    "magnitude": "a magnitude is outside those of the training galaxies",
    "colour": "a colour, in the catalogue or in the stamp, is outside those of the training galaxies",
    "unfamiliar": "to the model it is farther from the galaxies of its test than 99 % of them are from one another",
    "range": "the distribution leans on the end of its range: the redshift may be larger",
}

#: For each flag that wants ranges, the kinds of them, of which it wants one.
RANGES_OF = {
    "saturated": ("peak",),
    "empty": ("peak",),
    "noise": ("noise",),
    "offset": ("offset",),
    "magnitude": ("mag",),
    "colour": ("colour", "aperture"),
}

#: Another object is taken for the brighter one above this ratio.
NEIGHBOUR = 1.0

#: Between the flags of a galaxy.
SEPARATOR = ","


def stamp_flags(
    measures: StampMeasures | None,
    values: Mapping[str, np.ndarray],
    ranges: Mapping[str, Sequence[float]],
) -> dict[str, np.ndarray]:
    """Return the flags that stamps and magnitudes give, by name, booleans (n,).

    Parameters
    ----------
    measures
        Of the stamps; None without stamps.
    values
        What has a range, as `astromae.familiarity.seen.values_of` returns it.
    ranges
        The ranges of the training galaxies.
    """
    found = {}
    if measures is not None:
        found["edge"] = measures.blank
        found["saturated"] = outside(values, ranges, "peak", "above")
        found["empty"] = outside(values, ranges, "peak", "below")
        found["neighbour"] = measures.neighbour > NEIGHBOUR
        found["noise"] = outside(values, ranges, "noise")
        found["offset"] = outside(values, ranges, "offset")
    found["magnitude"] = outside(values, ranges, "mag")
    found["colour"] = outside(values, ranges, "colour") | outside(values, ranges, "aperture")
    return found


def as_text(flags: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Return the flags of each of `count` galaxies as one text, in the order of `FLAGS`; empty for none."""
    texts = np.full(count, "", dtype=object)
    for name in FLAGS:
        for row in np.flatnonzero(flags.get(name, [])):
            texts[row] = f"{texts[row]}{SEPARATOR}{name}" if texts[row] else name
    return texts
