import types

import numpy as np
import pytest
from astromae.photometry import pogson_magnitude
from astromae.survey import morphology
from astromae.survey.embedded_catalog import read_sample
from astromae.survey.render import galaxy_profile


@pytest.fixture(scope="module")
def sample():
    table = read_sample()
    flux = table[[f"modelflux_{band}" for band in "ugriz"]].to_numpy()
    flux = flux * 10 ** (0.4 * table[[f"extinction_{band}" for band in "ugriz"]].to_numpy())
    return flux, table["z"].to_numpy()


@pytest.fixture(scope="module")
def drawn(sample):
    return morphology.draw_morphology(*sample, np.random.default_rng(3))


def test_sizes_have_the_published_median_and_scatter(drawn):
    magnitude, early = drawn["absolute_mag_r"], drawn["hubble_type"] < 2
    residual = np.log(drawn["half_light_kpc"] / morphology.median_size_kpc(magnitude, early))
    pull = residual / morphology.size_scatter(magnitude)
    assert abs(pull.mean()) < 4 / np.sqrt(len(pull))
    assert abs(pull.std() - 1) < 4 / np.sqrt(2 * len(pull))
    # Bright galaxies: R grows as L^0.6 (early) and scatters by 0.25 (Shen et al. 2003, table 1).
    ratio = morphology.median_size_kpc(-22.5, True) / morphology.median_size_kpc(-21.5, True)
    assert ratio == pytest.approx(10 ** (0.4 * 0.6))
    assert morphology.size_scatter(-24.0) == pytest.approx(0.25, abs=0.01)
    assert morphology.size_scatter(-16.0) == pytest.approx(0.48, abs=0.01)


def test_sizes_in_arcsec_follow_the_redshift(drawn, sample):
    # 1 kpc at z = 0.1 subtends 0.542 arcsec for H0 = 70, Omega_m = 0.3.
    near = np.abs(sample[1] - 0.1) < 0.002
    ratio = (drawn["half_light_arcsec"] / drawn["half_light_kpc"])[near]
    assert near.sum() > 50
    assert np.allclose(ratio, 0.542, rtol=0.02)


def test_absolute_magnitudes(sample):
    flux, z = sample
    g, r = pogson_magnitude(flux[:, 1]), pogson_magnitude(flux[:, 2])
    magnitude = morphology.absolute_magnitude_r(g, r, z)
    k_correction = r - morphology.COSMOLOGY.distmod(z).value - magnitude
    assert np.all(np.abs(k_correction[z < 0.02]) < 0.06)
    # Red galaxies at z = 0.25 need about 0.3 mag in r (Blanton & Roweis 2007, figure 9).
    red = (np.abs(z - 0.25) < 0.02) & (g - r > 1.3)
    assert 0.2 < np.median(k_correction[red]) < 0.4


def test_early_types_are_red(sample, drawn):
    flux, _ = sample
    colour = pogson_magnitude(flux[:, 0]) - pogson_magnitude(flux[:, 2])
    early = drawn["hubble_type"].to_numpy() < 2
    assert early[colour > 2.6].mean() > 0.9
    assert early[colour < 1.8].mean() < 0.1


@pytest.mark.parametrize("hubble_type, share", [(-5, 1.0), (-2, 0.57), (1, 0.41), (3, 0.24), (5, 0.094)])
def test_bulge_fractions_are_the_published_ones(hubble_type, share):
    # Mean shares of E, S0, Sa, Sb, Sc in Simien & de Vaucouleurs (1986), table 3.
    assert morphology.bulge_fraction_of_type(hubble_type) == pytest.approx(share, abs=0.025)


def test_colour_gradients_move_light_but_keep_its_sum(drawn):
    share = drawn[[f"bulge_fraction_{band}" for band in "ugriz"]].to_numpy()
    assert np.all((share >= 0) & (share <= 1))
    composite = (share[:, 2] > 0.05) & (share[:, 2] < 0.95)
    # Bulges are redder on average: their share grows from u to z.
    assert np.all(np.diff(share[composite].mean(axis=0)) > 0)
    fractions = morphology.bulge_fractions(np.array([0.3, 1.0]), np.array([0.0, 1.0]))
    assert fractions[0, 2] == pytest.approx(0.3, abs=1e-12)
    assert np.all(fractions[1] == 1)
    difference = -2.5 * np.log10((fractions[0] / (1 - fractions[0])) / (0.3 / 0.7))
    assert difference[0] == pytest.approx(0.12, abs=0.02)


def test_an_oblate_galaxy_seen_from_every_side():
    cosine = np.linspace(0.01, 0.99, 9)
    seen = morphology.projected_axis_ratio(1.0, 0.2, cosine, 1.3)
    assert np.allclose(seen, np.sqrt((1 - 0.2**2) * cosine**2 + 0.2**2))
    # Along the major, middle and minor axis of a triaxial one.
    assert morphology.projected_axis_ratio(0.8, 0.2, 1e-9, 0.0) == pytest.approx(0.2 / 0.8)
    assert morphology.projected_axis_ratio(0.8, 0.2, 1e-9, np.pi / 2) == pytest.approx(0.2)
    assert morphology.projected_axis_ratio(0.8, 0.2, 1.0, 0.7) == pytest.approx(0.8)


def test_bulge_and_disc_add_up_to_the_half_light_radius(drawn):
    for index in (5, 50, 500):
        galaxy = drawn.iloc[index].to_dict() | {"bulge_axis_ratio": 1.0, "disc_axis_ratio": 1.0}
        galaxy["arm_fraction_r"] = 0.0
        profile, reach = galaxy_profile(types.SimpleNamespace(**galaxy), "r", 100.0)
        assert profile.flux == pytest.approx(100.0)
        # Half of the light lies inside the half-light radius: integrate the surface brightness.
        radius = np.geomspace(1e-6, reach, 20000)
        middle = np.sqrt(radius[1:] * radius[:-1])
        brightness = np.array([profile.xValue(r, 0) for r in middle])
        light = np.cumsum(2 * np.pi * middle * brightness * np.diff(radius))
        assert light[-1] == pytest.approx(100.0, rel=1e-3)
        inside = np.interp(galaxy["half_light_arcsec"], radius[1:], light)
        assert inside == pytest.approx(50.0, rel=2e-3)
