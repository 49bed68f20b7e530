import numpy as np
import pytest
from astromae.constants import BANDS
from astromae.errors import InputError
from astromae.photometry import SOFTENING, asinh_flux, asinh_magnitude, pogson_flux, pogson_magnitude


def test_pogson_magnitudes_invert_and_refuse_what_has_none():
    flux = np.array([1e-3, 1.0, 363.1, 1e5])
    assert np.allclose(pogson_flux(pogson_magnitude(flux)), flux, rtol=1e-12)
    assert pogson_magnitude(1.0) == 22.5
    assert np.isnan(pogson_magnitude([0.0, -1.0])).all()


@pytest.mark.parametrize("band", BANDS)
def test_asinh_magnitudes_invert_for_any_flux(band):
    flux = np.array([-20.0, -0.3, 0.0, 0.3, 20.0, 1e4])
    assert np.allclose(asinh_flux(asinh_magnitude(flux, band), band), flux, rtol=1e-9, atol=1e-12)
    assert np.all(np.diff(asinh_magnitude(flux, band)) < 0)


def test_asinh_magnitudes_are_the_published_ones():
    # Magnitude of zero flux in each band, from the SDSS page on magnitudes.
    zero_flux = [24.63, 25.11, 24.80, 24.36, 22.83]
    assert np.allclose(asinh_magnitude(np.zeros(5)), zero_flux, atol=0.006)
    # A source 10 times fainter than 100 b still differs from Pogson's magnitude by less than a percent.
    flux = 100 * np.array(list(SOFTENING.values())) * 1e9
    assert np.allclose(asinh_magnitude(flux), pogson_magnitude(flux), atol=0.01)


def test_last_axis_runs_over_the_bands():
    flux = np.arange(1.0, 11.0).reshape(2, 5)
    together = asinh_magnitude(flux)
    for index, band in enumerate(BANDS):
        assert np.array_equal(together[:, index], asinh_magnitude(flux[:, index], band))


def test_an_unknown_band_is_named():
    with pytest.raises(InputError, match="'y'"):
        asinh_magnitude(1.0, "y")
