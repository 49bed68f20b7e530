"""The populated sky: stars, background galaxies and spiral arms, held against GalSim and against genuine frames."""

from dataclasses import replace
from pathlib import Path

import galsim
import numpy as np
import pandas as pd
import pytest
from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC
from astromae.photometry import pogson_flux
from astromae.survey import render
from astromae.survey.arms import arm_fractions
from astromae.survey.embedded_catalog import build_catalog, observed_flux
from astromae.survey.gaussians import add_galaxies, add_round, psf_components
from astromae.survey.geometry import FIRST_FIELD, field_astrometry
from astromae.survey.morphology import TRUNCATION
from astromae.survey.neighbours import add_objects, draw_objects
from astromae.survey.psf import point_spread_function
from astropy.io import fits
from census import census

REAL = Path(__file__).parents[3] / "shared/data/sdss-real/frames"
RUN, CAMCOL = 9001, 3
PSF = point_spread_function(1.43)


@pytest.fixture(scope="module")
def settings(small_survey):
    return replace(small_survey.settings, **{"populated": True})


@pytest.fixture(scope="module")
def catalog(settings):
    return build_catalog(settings)


def drawn_by_galsim(profile, column, row, side=61):
    image = galsim.Image(side, side, scale=PIXEL_SCALE_ARCSEC, xmin=0, ymin=0)
    galsim.Convolve(profile, PSF).drawImage(image=image, center=galsim.PositionD(column, row))
    return image.array


def test_a_star_is_the_point_spread_function():
    pixels = np.zeros((61, 61), np.float32)
    for share, sigma in psf_components(PSF, PIXEL_SCALE_ARCSEC):
        add_round(pixels, np.array([30.3]), np.array([29.8]), np.array([sigma]), np.array([share * 50]))
    expected = drawn_by_galsim(galsim.DeltaFunction(flux=50), 30.3, 29.8)
    assert np.abs(pixels - expected).max() < 2e-3 * expected.max()
    assert pixels.sum() == pytest.approx(50, rel=1e-3)


@pytest.mark.parametrize(("sersic", "lost"), [(1.0, 0.03), (4.0, 0.09)])
@pytest.mark.parametrize("half_light", [0.4, 1.2])
def test_a_background_galaxy_is_nearly_a_sersic_profile(sersic, lost, half_light):
    pixels = np.zeros((61, 61), np.float32)
    major, minor = (half_light / PIXEL_SCALE_ARCSEC) ** 2 / 0.6, (half_light / PIXEL_SCALE_ARCSEC) ** 2 * 0.6
    covariance = np.array([[major, minor, 0.0]])
    components = psf_components(PSF, PIXEL_SCALE_ARCSEC)
    add_galaxies(pixels, np.array([30.2]), np.array([30.4]), covariance, sersic, np.array([10.0]), components)
    profile = galsim.Sersic(sersic, half_light_radius=half_light, trunc=TRUNCATION[sersic] * half_light, flux=10)
    expected = drawn_by_galsim(profile.shear(q=0.6, beta=0 * galsim.degrees), 30.2, 30.4)
    assert np.abs(pixels - expected).max() < 0.05 * expected.max()
    assert 1 - lost < pixels.sum() / expected.sum() < 1.01


def test_objects_at_the_edge_are_clipped():
    pixels = np.zeros((40, 50), np.float32)
    place = np.array([-0.5, 49.5, -30.0]), np.array([20.0, 39.5, -30.0])
    add_round(pixels, *place, np.full(3, 1.5), np.full(3, 8.0))
    assert pixels.sum() == pytest.approx(8 / 2 + 8 / 4, rel=1e-3)


def test_arms_take_from_the_disc_what_they_hold(catalog, settings):
    """Light of every band stays the galaxy's, and no band's arms outshine its disc."""
    bulge, arms = (catalog[[f"{name}_fraction_{band}" for band in BANDS]].to_numpy() for name in ("bulge", "arm"))
    assert np.all(arms >= 0) and np.all(arms <= 0.6 * (1 - bulge) + 1e-12)
    late = catalog["hubble_type"].to_numpy() > 3
    assert np.all(np.diff(arms[late] / (1 - bulge[late]), axis=1) < 0), "arms are bluer than the disc"
    elliptical = bulge[:, 0] == 1
    assert elliptical.any() and np.all(arms[elliptical] == 0)
    astrometry = field_astrometry(settings, RUN, CAMCOL, FIRST_FIELD, "g")
    spirals = np.flatnonzero(late & (catalog["half_light_arcsec"] < 4))[:8]
    smooth = catalog.assign(arm_fraction_g=0.0)
    for index in spirals:
        with_arms = render.draw_galaxies(catalog.iloc[[index]], "g", astrometry, 1.3)
        without = render.draw_galaxies(smooth.iloc[[index]], "g", astrometry, 1.3)
        # A galaxy at the frame's edge loses some of its light either way.
        assert with_arms.sum(dtype=np.float64) == pytest.approx(without.sum(dtype=np.float64), rel=3e-3)
        assert np.abs(with_arms - without).max() > 0.01 * without.max()
        assert without.sum(dtype=np.float64) == pytest.approx(observed_flux(catalog)[index, 1], rel=2e-3)


def test_a_bare_sky_has_neither_arms_nor_neighbours(small_survey):
    bare = pd.read_parquet(small_survey.catalog)
    assert (bare[[f"arm_fraction_{band}" for band in BANDS]] == 0).all(axis=None)
    assert not (small_survey.archive / "objects.parquet").exists()
    shares = arm_fractions(np.array([-3.0, 0.0, 3.0, 6.0]), np.ones((4, 5)))
    assert np.all(np.diff(shares, axis=0) > 0), "later types have stronger arms"


def test_objects_are_the_same_in_every_band_and_again(catalog, settings):
    objects = draw_objects(catalog, settings, RUN, CAMCOL, FIRST_FIELD)
    pd.testing.assert_frame_equal(objects, draw_objects(catalog, settings, RUN, CAMCOL, FIRST_FIELD))
    assert len(draw_objects(catalog, replace(settings, **{"seed": 8}), RUN, CAMCOL, FIRST_FIELD)) != len(objects)
    bright = objects[(objects["kind"] == "star") & objects["mag_r"].between(15, 19)]
    for band in BANDS:
        astrometry = field_astrometry(settings, RUN, CAMCOL, FIRST_FIELD, band)
        image = np.zeros((1489, 2048), np.float32)
        add_objects(image, bright, band, astrometry, PSF)
        column, row = astrometry.wcs().all_world2pix(bright["ra"], bright["dec"], 0)
        inside = (column > 10) & (column < 2037) & (row > 10) & (row < 1478)
        flux = pogson_flux(bright[f"mag_{band}"].to_numpy())
        # A Gaussian weight of the star's place in this band gets its light.
        light = [
            image[round(y) - 9 : round(y) + 10, round(x) - 9 : round(x) + 10].sum()
            for x, y in zip(column[inside], row[inside], strict=True)
        ]
        assert np.median(np.array(light) / flux[inside]) == pytest.approx(1, abs=5e-3)


@pytest.mark.skipif(not REAL.exists(), reason="genuine SDSS frames are not beside this repository")
def test_stars_and_galaxies_are_as_many_as_on_genuine_frames(catalog, settings):
    """Three fields each, counted alike; the difference stays within three standard deviations.

    The variance of a count is Poisson's, and that of clustering: 20 % of a field's galaxies and, since the fields lie
    at different Galactic coordinates, of its stars.
    """
    genuine = [census(fits.getdata(path).astype(np.float32)) for path in sorted(REAL.glob("frame-r-*.fits.bz2"))]
    fields = range(FIRST_FIELD, FIRST_FIELD + 3)
    drawn = [
        census(render.draw_frame(catalog.iloc[:0], RUN, CAMCOL, field, "r", settings).image_nmgy) for field in fields
    ]
    assert len(genuine) == len(drawn) == 3
    for kind, bright, faint in (
        ("star", 15, 17.5),
        ("star", 17.5, 19.5),
        ("star", 19.5, 20.5),
        ("galaxy", 18, 19.5),
        ("galaxy", 19.5, 20.5),
        ("galaxy", 20.5, 21.5),
    ):
        real, ours = (sum(one.count(kind, bright, faint) for one in counts) for counts in (genuine, drawn))
        variance = real + ours + 2 * 3 * (0.2 * real / 3) ** 2
        assert abs(real - ours) < 3 * np.sqrt(variance), f"{kind} r {bright} to {faint}: genuine {real}, drawn {ours}"
        print(f"{kind} r {bright} to {faint}: genuine {real}, drawn {ours}")
