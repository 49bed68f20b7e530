"""Settings of the views of contrastive objectives: what may change of a galaxy's image and leave it the same galaxy."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from astromae.settings.base import HERE, Pair, setting, wrong
from astromae.settings.training import KERNEL_MARGIN
from astromae.typed import Typed

#: Galactic extinction in each band of SDSS over E(B-V), mag, of Schlegel, Finkbeiner and Davis' (1998) map:
#: Schlafly and Finkbeiner 2011, table 6, R_V = 3.1.
EXTINCTION_PER_EBV = {"u": 4.239, "g": 3.303, "r": 2.285, "i": 1.698, "z": 1.263}

#: The same in SDSS's catalogues, which E(B-V) is read back from: Stoughton et al. 2002, table 22.
CATALOG_EXTINCTION_PER_EBV = {"u": 5.155, "g": 3.793, "r": 2.751, "i": 2.086, "z": 1.479}


def _ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    if values[0] > values[1]:
        raise wrong("", list(values), "the smaller value first")
    return values


Range = Annotated[Pair[Annotated[float, Field(gt=0)]], AfterValidator(_ascending)]


class GalaxyViews(Typed):
    """Views of a galaxy; the defaults are those of Hayat et al. 2021: extinction, rotation, jitter and noise."""

    deredden: bool = setting(
        "Take away Galactic extinction first, by the E(B-V) that the catalogue's extinctions were made with.", True
    )
    ebv_max: float = setting("Largest E(B-V) by which views are reddened; 0 reddens none.", 0.5, unit="mag", ge=0)
    rotation_deg: float = setting("Largest rotation either way.", 180.0, unit="deg", ge=0, le=180)
    flips: bool = setting("Flip at random along both axes.", False)
    jitter_px: int = setting("Largest shift either way along both axes, before the crop.", 3, unit="px", ge=0)
    scale: Range | None = setting("Smallest and largest factor of sizes on the sky; null changes none.", None)
    seeing_arcsec: Range | None = setting(
        "Smallest and largest seeing (FWHM) to which views are blurred; null blurs none.", None, unit="arcsec"
    )
    stamp_seeing_arcsec: float = setting(
        "Seeing of the stamps, the median of SDSS in r; what it lacks is added in quadrature.",
        1.32,
        unit="arcsec",
        gt=0,
    )
    noise: Range | None = setting(
        "Smallest and largest noise of a band that is added, to what the changes before it leave of the stamp's own; "
        "null adds none.",
        (1.0, 3.0),
        unit="median absolute deviation of the sky",
    )
    interpolation: Literal["nearest", "bilinear", "bicubic"] = setting("Resampling.", "bicubic")
    empty_corners: bool = setting("Leave empty what lies outside the stamp, instead of refusing the crop.", False)

    def source_size(self, crop: int) -> int:
        """Return how many pixels on a side a stamp must have so that no corner of a view is empty."""
        margin = KERNEL_MARGIN[self.interpolation]
        if self.rotation_deg == 0 and self.scale is None:
            # Whole pixels, of which the kernel reads no neighbours.
            return crop + 2 * self.jitter_px
        angle = math.radians(min(self.rotation_deg, 45.0))
        zoom = 1 / self.scale[0] if self.scale else 1.0
        reach = (crop - 1) / 2 * zoom * (math.cos(angle) + math.sin(angle)) + self.jitter_px + margin
        size = max(crop, math.ceil(2 * reach + 1))
        return size + (size - crop) % 2

    def problems(self, bands: Sequence[str], stamp: int, crop: int) -> Iterator[tuple[str, str]]:
        """Yield keys that do not fit a survey's bands, its stamps (px) or the crop (px), and what they may hold."""
        unknown = [band for band in bands if band not in EXTINCTION_PER_EBV]
        for key, off in (("ebv_max", 0), ("deredden", "false")):
            if getattr(self, key) and unknown:
                where = "extinction is known in u, g, r, i and z of SDSS"
                yield key, f"{off} for a survey with the band {unknown[0]}: {where}"
        size = self.source_size(crop)
        if size > stamp and not self.empty_corners:
            smaller = f"a smaller scaling.crop, {HERE}rotation_deg or {HERE}jitter_px"
            yield "empty_corners", f"true, or stamps.size at least {size}, or {smaller}"
