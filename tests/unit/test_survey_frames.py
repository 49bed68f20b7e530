import errno
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS, PIXEL_SCALE_ARCSEC
from astromae.errors import InputError
from astromae.survey import psf, render
from astromae.survey.archive import frame_address
from astromae.survey.camera import detector
from astromae.survey.embedded_catalog import observed_flux
from astromae.survey.frames import interpolate_sky, round_mantissa, write_frame
from astromae.survey.geometry import FIRST_FIELD, field_astrometry
from astromae.survey.morphology import TRUNCATION
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

REAL = Path(__file__).parents[3] / "shared/data/sdss-real/frame-r-001000-1-0100.fits.bz2"
RUN, CAMCOL = 9001, 3

pytestmark = pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")


@pytest.fixture(scope="module")
def frames(small_survey):
    """Each band's image (nmgy), variance per pixel (nmgy^2) and WCS, all read back from the files."""
    opened = {}
    for band in BANDS:
        with fits.open(
            frame_address(small_survey.archive, small_survey.release, RUN, CAMCOL, FIRST_FIELD, band)
        ) as parts:
            image, calibration = parts[0].data.astype(np.float64), parts[1].data.astype(np.float64)
            row = parts[2].data[0]
            sky = interpolate_sky(row["ALLSKY"], row["XINTERP"], row["YINTERP"])
            chip = detector(RUN, CAMCOL, band)
            variance = calibration**2 * ((image / calibration + sky) / chip.gain + chip.dark_variance)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FITSFixedWarning)
                opened[band] = image, variance, WCS(parts[0].header)
    return opened


@pytest.fixture(scope="module")
def catalog(small_survey):
    return pd.read_parquet(small_survey.catalog)


def reach_pixels(catalog):
    """Return the radius within which all of a galaxy's light lies, with room for the seeing."""
    radii = [
        TRUNCATION[4.0] * catalog["bulge_half_light_arcsec"] / np.sqrt(catalog["bulge_axis_ratio"]),
        TRUNCATION[1.0] * catalog["disc_half_light_arcsec"] / np.sqrt(catalog["disc_axis_ratio"]),
    ]
    return np.maximum(*radii).to_numpy() / PIXEL_SCALE_ARCSEC + 14


def test_aperture_fluxes_are_the_catalogues(frames, catalog):
    """Apertures that hold all of an isolated galaxy's light: no bias, and the scatter of the noise model."""
    truth, reach = observed_flux(catalog), reach_pixels(catalog)
    pulls = []
    for index, band in enumerate(BANDS):
        image, variance, wcs = frames[band]
        x, y = wcs.all_world2pix(catalog["ra"].to_numpy(), catalog["dec"].to_numpy(), 0)
        distance = np.hypot(x[:, None] - x, y[:, None] - y) + np.diag(np.full(len(x), np.inf))
        isolated = np.all(distance > reach[:, None] + reach, axis=1)
        inside = (x > reach + 2) & (y > reach + 2) & (x < FRAME_COLUMNS - 3 - reach) & (y < FRAME_ROWS - 3 - reach)
        measured, sigma = [], []
        chosen = np.flatnonzero(isolated & inside)
        assert len(chosen) >= 20
        for galaxy in chosen:
            half = int(reach[galaxy]) + 1
            row, column = round(float(y[galaxy])), round(float(x[galaxy]))
            window = np.s_[row - half : row + half + 1, column - half : column + half + 1]
            rows, columns = np.indices((2 * half + 1, 2 * half + 1)) - half
            aperture = np.hypot(columns + column - x[galaxy], rows + row - y[galaxy]) < reach[galaxy]
            measured.append(image[window][aperture].sum())
            sigma.append(np.sqrt(variance[window][aperture].sum()))
        measured, sigma = np.array(measured), np.array(sigma)
        if band in "gri":
            offset = -2.5 * np.log10(measured / truth[chosen, index])
            assert abs(np.median(offset)) < 0.02
        pulls.append((measured - truth[chosen, index]) / sigma)
    pulls = np.concatenate(pulls)
    assert abs(pulls.mean()) < 3.5 / np.sqrt(len(pulls))
    assert abs(pulls.std() - 1) < 3.5 / np.sqrt(2 * len(pulls))


def test_pixels_scatter_as_the_noise_model_says(frames, catalog, small_survey):
    """Observed minus noise-free image, in units of the model's sigma, is white with unit variance."""
    for band in BANDS:
        image, _, _ = frames[band]
        astrometry = field_astrometry(small_survey.settings, RUN, CAMCOL, FIRST_FIELD, band)
        width = psf.psf_width_arcsec(small_survey.settings.seed, RUN, CAMCOL, FIRST_FIELD, band)
        clean = render.draw_galaxies(catalog, band, astrometry, width)
        _, variance, _ = frames[band]
        # The variance at the true, not the observed, brightness.
        calibration = detector(RUN, CAMCOL, band).calibration_nmgy
        variance = variance - calibration * (image - clean) / detector(RUN, CAMCOL, band).gain
        pull = (image - clean) / np.sqrt(variance)
        assert abs(pull.mean()) < 0.005
        assert abs(pull.std() - 1) < 0.005
        neighbours = (pull[:, 1:] * pull[:, :-1]).mean()
        assert abs(neighbours) < 0.005
        bright = clean > 0.3 * clean.max()
        assert abs(pull[bright].std() - 1) < 5 / np.sqrt(2 * bright.sum()) + 0.01


def test_a_galaxy_stands_where_each_bands_wcs_says(frames, catalog):
    # Bright and compact: centroids that noise does not move.
    brightest = catalog[catalog["half_light_arcsec"] < 3].sort_values("mag_r").iloc[:8]
    offsets = []
    for band in "gri":
        image, _, wcs = frames[band]
        for ra, dec in zip(brightest["ra"], brightest["dec"], strict=True):
            x, y = (float(value) for value in wcs.all_world2pix(ra, dec, 0))
            # The moments of a small window that starts at the expected place and follows the light.
            cx, cy = x, y
            for _ in range(10):
                rows, columns = np.indices((17, 17)) - 8
                rows, columns = rows + round(cy), columns + round(cx)
                weight = np.exp(-((rows - cy) ** 2 + (columns - cx) ** 2) / (2 * 2.5**2))
                light = image[rows, columns] * weight
                cx += 2 * ((columns - cx) * light).sum() / light.sum()
                cy += 2 * ((rows - cy) * light).sum() / light.sum()
            offsets.append((cx - x, cy - y))
    assert np.all(np.abs(np.median(offsets, axis=0)) < 0.02)
    assert np.all(np.abs(offsets) < 0.1)


def test_position_angles_point_east_of_north(catalog, small_survey):
    astrometry = field_astrometry(small_survey.settings, RUN, CAMCOL, FIRST_FIELD, "r")
    for angle in (20.0, 75.0, 140.0):
        galaxy = catalog.iloc[[0]].assign(
            position_angle_deg=angle,
            bulge_axis_ratio=0.3,
            disc_axis_ratio=0.3,
            bulge_half_light_arcsec=3.0,
            disc_half_light_arcsec=3.0,
        )
        image = render.draw_galaxies(galaxy, "r", astrometry, 1.3).astype(np.float64)
        y, x = np.indices(image.shape)
        x, y = x - (x * image).sum() / image.sum(), y - (y * image).sum() / image.sum()
        east, north = np.tensordot(astrometry.cd, np.stack([x, y]), axes=1)
        moment = {
            "ee": (image * east**2).sum(),
            "nn": (image * north**2).sum(),
            "en": (image * east * north).sum(),
        }
        measured = 0.5 * np.degrees(np.arctan2(2 * moment["en"], moment["nn"] - moment["ee"])) % 180
        assert measured == pytest.approx(angle, abs=0.5)


def test_no_light_is_lost_and_edges_clip(catalog, small_survey):
    settings = small_survey.settings
    astrometry = field_astrometry(settings, RUN, CAMCOL, FIRST_FIELD, "i")
    flux = observed_flux(catalog)
    reach = reach_pixels(catalog)
    x, y = astrometry.wcs().all_world2pix(catalog["ra"].to_numpy(), catalog["dec"].to_numpy(), 0)
    inside = (x > reach) & (y > reach) & (x < FRAME_COLUMNS - 1 - reach) & (y < FRAME_ROWS - 1 - reach)
    for index in np.flatnonzero(inside)[:15]:
        image = render.draw_galaxies(catalog.iloc[[index]], "i", astrometry, 1.3)
        assert image.sum(dtype=np.float64) == pytest.approx(flux[index, 3], rel=1e-3)
    # A round galaxy centred on the frame's first pixel column shows half of its light.
    ra, dec = astrometry.wcs().all_pix2world(-0.5, 700.0, 0)
    edge = catalog.iloc[[0]].assign(ra=ra, dec=dec, bulge_axis_ratio=1.0, disc_axis_ratio=1.0)
    image = render.draw_galaxies(edge, "i", astrometry, 1.3)
    assert image.sum(dtype=np.float64) == pytest.approx(flux[0, 3] / 2, rel=0.01)


def test_a_negative_flux_is_drawn_negative(catalog, small_survey):
    astrometry = field_astrometry(small_survey.settings, RUN, CAMCOL, FIRST_FIELD, "u")
    galaxy = catalog.iloc[[0]].assign(mag_u=25.5)
    flux = observed_flux(galaxy)[0, 0]
    assert flux < 0
    image = render.draw_galaxies(galaxy, "u", astrometry, 1.6)
    assert image.sum(dtype=np.float64) == pytest.approx(flux, rel=1e-3)


def test_the_point_spread_function_has_its_width():
    image = (
        psf.point_spread_function(1.43)
        .drawImage(nx=401, ny=401, scale=0.05, method="no_pixel")
        .array.astype(np.float64)
    )
    assert image.sum() == pytest.approx(1, abs=1e-3)
    effective_pixels = image.sum() ** 2 / (image**2).sum()
    assert 0.663 * np.sqrt(effective_pixels) * 0.05 == pytest.approx(1.43, rel=5e-3)
    sigma = psf.narrow_sigma_arcsec(1.43)
    assert psf.double_gaussian_width(sigma, psf.PSF_WIDE * sigma, psf.PSF_WIDE_PEAK) == pytest.approx(1.43)


def test_same_seed_same_bytes(small_survey, catalog, tmp_path):
    name = frame_address(small_survey.archive, small_survey.release, RUN, CAMCOL, FIRST_FIELD, "g")
    again = render.draw_frame(catalog, RUN, CAMCOL, FIRST_FIELD, "g", small_survey.settings)
    write_frame(tmp_path / "again.fits.bz2", again)
    assert (tmp_path / "again.fits.bz2").read_bytes() == Path(name).read_bytes()


def test_mantissas_keep_ten_bits():
    values = np.random.default_rng(0).normal(0, 1, 10000).astype(np.float32)
    rounded = round_mantissa(values)
    assert np.all(rounded.view(np.uint32) & 0x3FFF == 0)
    assert np.all(np.abs(rounded / values - 1) <= 2**-10)
    assert abs((rounded - values).mean()) < 1e-5


def test_the_sky_is_interpolated_as_published():
    rows, columns = np.indices((192, 256)).astype(np.float32)
    sky = interpolate_sky(100 + rows + 0.5 * columns)
    assert sky.shape == (FRAME_ROWS, FRAME_COLUMNS) and sky.dtype == np.float32
    # Pixel (row, column) lies at (row + 0.5) / 8 + 0.5, (column + 0.5) / 8 - 0.5 of the grid.
    assert sky[800, 1200] == pytest.approx(100 + 100.5625 + 0.5 * 149.5625, abs=1e-3)
    assert sky[100, 0] == pytest.approx(100 + 13.0625, abs=1e-3)
    # The grid is continued as a constant past its end.
    assert interpolate_sky(rows, rows=np.array([191.0, 195.0], np.float32))[:, 0].tolist() == [191.0, 191.0]


def test_detectors_are_those_of_the_survey():
    assert detector(9001, 2, "u").gain == 1.825 and detector(1000, 2, "u").gain == 1.595
    assert detector(9001, 4, "z").dark_variance == 12.6025 and detector(1500, 4, "z").dark_variance == 9.61
    assert detector(1000, 1, "r").calibration_nmgy == 0.00478
    assert detector(2583, 2, "i").gain == 5.195 and detector(1000, 2, "i").gain == 6.565
    # 20.86 mag a square arcsecond of sky in r, in pixels of 0.396 arcsec.
    sky_nmgy = 10 ** (0.4 * (22.5 - 20.86)) * PIXEL_SCALE_ARCSEC**2
    assert detector(1000, 1, "r").sky_counts == pytest.approx(sky_nmgy / 0.00478)
    with pytest.raises(InputError, match="camcol: 7"):
        detector(1000, 7, "r")


@pytest.mark.skipif(not REAL.exists(), reason="the real SDSS frame is not beside this repository")
def test_a_frame_opens_like_a_real_one(small_survey):
    ours = frame_address(small_survey.archive, small_survey.release, RUN, CAMCOL, FIRST_FIELD, "r")
    with fits.open(REAL) as real, fits.open(ours) as drawn:
        assert [type(part) for part in drawn] == [type(part) for part in real]
        assert [part.name for part in drawn] == [part.name for part in real]
        for index in (0, 1):
            assert drawn[index].header["BITPIX"] == real[index].header["BITPIX"]
            assert drawn[index].data.dtype == real[index].data.dtype
        # The real frame is cropped; full ones have 1489 rows of 2048 columns.
        assert drawn[0].data.shape == (FRAME_ROWS, FRAME_COLUMNS) and drawn[1].data.shape == (FRAME_COLUMNS,)
        for index in (2, 3):
            assert drawn[index].columns.names == real[index].columns.names
            assert drawn[index].columns.formats == real[index].columns.formats
            assert drawn[index].columns.dims == real[index].columns.dims
            assert len(drawn[index].data) == len(real[index].data) == 1
        for name in ("XINTERP", "YINTERP"):
            assert np.array_equal(drawn[2].data[name], real[2].data[name])
        keywords = [key for key in real[0].header if key.startswith(("C", "RADECSYS", "EQUINOX"))]
        keywords = [key for key in keywords if key[:4] in ("CTYP", "CUNI", "CRPI", "CRVA", "CD1_", "CD2_")]
        for key in [*keywords, "RADECSYS", "EQUINOX", "RUN", "FRAME", "CAMCOL", "FILTER", "RERUN", "NMGY"]:
            assert type(drawn[0].header[key]) is type(real[0].header[key]), key
        for key in ("CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "CRPIX1", "CRPIX2", "RADECSYS", "FILTER"):
            assert drawn[0].header[key] == real[0].header[key]
        for part in (drawn, real):
            wcs = WCS(part[0].header)
            assert np.allclose(wcs.proj_plane_pixel_scales()[0].value * 3600, PIXEL_SCALE_ARCSEC, rtol=2e-3)
            assert np.linalg.det(wcs.wcs.cd) < 0
            # Zeros where the archive drops bits.
            assert np.all(part[0].data.astype("<f4").view(np.uint32) & 0x3FFF == 0)


def test_a_full_disk_leaves_nothing_half_written(small_survey, tmp_path, monkeypatch):
    written = []

    def fail_on_the_third(path, frame):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        path.write_bytes(b"frame")

    monkeypatch.setattr(render, "write_frame", fail_on_the_third)
    output = tmp_path / "9001" / "3"
    with pytest.raises(OSError, match="No space"):
        render.render_strip(small_survey.catalog, RUN, CAMCOL, small_survey.settings, output)
    assert len(written) == 2 and list(output.parent.iterdir()) == []


def test_what_is_not_simulated_is_refused(small_survey, tmp_path):
    with pytest.raises(InputError, match="run 9001, camcol 4: not simulated"):
        render.render_strip(small_survey.catalog, RUN, 4, small_survey.settings, tmp_path / "4")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match=r"broken\.parquet"):
        render.render_strip(tmp_path / "broken.parquet", RUN, CAMCOL, small_survey.settings, tmp_path / "3")
