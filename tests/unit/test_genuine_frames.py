"""What the simulation takes for granted about the survey's frames, held against three whole fields of the archive."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS
from astromae.survey.archive import frame_address, frame_number
from astromae.survey.camera import count_variance, detector
from astromae.survey.frames import SKY_COLUMNS, SKY_ROWS, SKY_SHAPE, interpolate_sky
from astromae.survey.geometry import FIRST_FIELD
from astromae.survey.psf import (
    PSF_WIDE,
    PSF_WIDE_PEAK,
    double_gaussian_width,
    narrow_sigma_arcsec,
    point_spread_function,
    psf_width_arcsec,
)
from astropy.io import fits
from scipy.ndimage import binary_dilation, gaussian_filter, maximum_filter
from scipy.optimize import least_squares

REAL = Path(__file__).parents[3] / "shared/data/sdss-real"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here")

FIELDS = [(2820, 3, 122), (3918, 3, 213), (4510, 4, 30)]
FRAMES = [(*field, band) for field in FIELDS for band in BANDS]
SCALE_ARCSEC = 0.396

#: Keywords of genuine frames that no simulation can fill: where the telescope pointed and when, by what software.
NOT_SIMULATED = {
    *("TAI", "RA", "DEC", "SPA", "IPA", "IPARATE", "AZ", "ALT", "FOCUS", "DATE-OBS", "TAIHMS", "TIMESYS"),
    *("XBORE", "YBORE", "DAVERS", "VERSION", "DERV_VER", "ASTR_VER", "ASTRO_ID", "BIAS_ID", "FRAME_ID", "KO_VER"),
    *("PS_ID", "ATVSN", "NMGYIVAR", "VERSIDL", "VERSUTIL", "VERSPOP", "PCALIB", "PSKY", "OBSERVER"),
    *("SCDMETHD", "SCDWIDTH", "SCDDECMF", "SCDOFSET", "SCDDYNTH", "SCDSTTHL", "SCDSTTHR", "SCDREDSZ"),
    *("SCDSKYL", "SCDSKYR", "BZERO", "BSCALE", "COMMENT", "HISTORY"),
}


@dataclass(frozen=True)
class Genuine:
    """A frame as astropy reads it: headers and tables of the parts, image and calibration (nmgy), sky (counts)."""

    headers: list
    tables: list
    image: np.ndarray
    calibration: np.ndarray
    sky: np.ndarray


def read_frame(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as parts:
            table = parts[2].data[0]
            sky = interpolate_sky(*(np.asarray(table[name], np.float32) for name in ("ALLSKY", "XINTERP", "YINTERP")))
            return Genuine(
                [part.header for part in parts],
                [parts[2].data, parts[3].data],
                parts[0].data.astype(np.float32),
                parts[1].data.astype(np.float64),
                sky,
            )


@pytest.fixture(scope="module", params=FRAMES, ids="{0[0]}-{0[1]}-{0[2]}-{0[3]}".format)
def named(request):
    run, camcol, field, band = request.param
    return request.param, read_frame(REAL / f"frames/frame-{band}-{run:06d}-{camcol}-{field:04d}.fits.bz2")


@pytest.fixture(scope="module")
def simulated(small_survey):
    return read_frame(frame_address(small_survey.archive, small_survey.release, 9001, 3, FIRST_FIELD, "r"))


def test_headers_have_the_same_keywords_of_the_same_types(named, simulated):
    (run, camcol, field, band), genuine = named
    header, ours = genuine.headers[0], simulated.headers[0]
    assert set(header) - NOT_SIMULATED == set(ours) - {"SIMVERS"}
    for key in set(header) - NOT_SIMULATED:
        assert type(header[key]) is type(ours[key]), key
    for key in ("CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "CRPIX1", "CRPIX2", "RADECSYS", "EQUINOX", "BUNIT", "RERUN"):
        assert header[key] == ours[key], key
    for key in ("TELESCOP", "SYS_SCN", "EXPTIME", "SYSTEM", "C_OBS", "COLBIN", "ROWBIN", "CCDMODE", "SOFTBIAS"):
        assert header[key] == ours[key], key
    assert (header["RUN"], header["CAMCOL"], header["FILTER"]) == (run, camcol, band)
    assert header["FRAME"] == frame_number(field, band)
    assert header["CCDLOC"] == 10 * header["CAMROW"] + camcol
    assert header["CAMROW"] == 1 + (header["FRAME"] - field) // 2
    assert (header.get("BZERO", 0), header.get("BSCALE", 1)) == (0, 1)


def test_parts_are_laid_out_alike(named, simulated):
    (run, camcol, field, band), genuine = named
    assert len(genuine.headers) == len(simulated.headers) == 4
    for theirs, ours in zip(genuine.headers, simulated.headers, strict=True):
        for key in ("XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "TFIELDS"):
            assert theirs.get(key) == ours.get(key), key
    for theirs, ours in zip(genuine.tables, simulated.tables, strict=True):
        assert theirs.columns.names == ours.columns.names
        assert theirs.columns.formats == ours.columns.formats
        assert [dim.replace(" ", "") for dim in theirs.columns.dims] == ours.columns.dims
    row = genuine.tables[1][0]
    # This table, and not the header, says the field.
    assert (row["RUN"], row["CAMCOL"], row["FIELD"], row["FILTER"]) == (run, camcol, field, band)


def test_the_sky_table_lies_where_ours_does(named):
    _, genuine = named
    row = genuine.tables[0][0]
    assert row["ALLSKY"].shape == SKY_SHAPE
    np.testing.assert_array_equal(row["XINTERP"], SKY_COLUMNS)
    np.testing.assert_array_equal(row["YINTERP"], SKY_ROWS)
    # As smooth as a sky is that is interpolated from a coarse grid.
    assert row["ALLSKY"].std() < 0.003 * row["ALLSKY"].mean()


def test_pixels_have_ten_bits_and_come_from_whole_counts(named):
    """Image / calibration + sky is a whole number: all three mean what the noise formula takes them for.

    What is left is the rounding to 10 bits, with a standard deviation of 1 / sqrt(12) of the last bit. It is to the
    nearest: the mean would be half a bit if bits were cut off.
    """
    _, genuine = named
    bits = genuine.image.view(np.uint32)
    assert not (bits & 0x3FFF).any() and (bits & 0x4000).any()
    image = genuine.image.astype(np.float64)
    counts = image / genuine.calibration + genuine.sky
    residual = (counts - np.rint(counts)) * np.sign(image)
    last_bit = 2.0 ** (np.floor(np.log2(np.maximum(np.abs(image), 1e-12))) - 9) / genuine.calibration
    fine = last_bit < 0.02
    assert fine.mean() > 0.8
    assert residual[fine].std() < 0.005
    coarse = (last_bit > 0.05) & (last_bit < 0.2)
    share = residual[coarse] / last_bit[coarse]
    assert abs(share.mean()) < 0.05
    assert share.std() == pytest.approx(12**-0.5, abs=0.015)


def test_empty_sky_scatters_as_the_noise_formula_says(named):
    """To 3 % over the frame. Each CCD is read by two amplifiers, whose gains the formula's one value averages."""
    (run, camcol, _, band), genuine = named
    chip = detector(run, camcol, band)
    counts = genuine.image / genuine.calibration + genuine.sky
    pull = (counts - genuine.sky) / np.sqrt(count_variance(np.maximum(counts, 1), chip.gain, chip.dark_variance))
    smooth = gaussian_filter(pull, 2)
    level = np.median(smooth)
    sources = smooth > level + 2 * 1.4826 * np.median(np.abs(smooth - level))
    empty = ~binary_dilation(sources, iterations=6) & (np.abs(pull) < 5)
    assert empty.mean() > 0.2
    ratio = pull[empty].std()
    halves = [pull[:, half][empty[:, half]].std() for half in (np.s_[:1024], np.s_[1024:])]
    print(f"{band}, camera column {camcol}, run {run}: {ratio:.3f}, amplifiers {halves[0]:.3f} and {halves[1]:.3f}")
    assert ratio == pytest.approx(1, abs=0.03)
    assert halves == pytest.approx([1, 1], abs=0.12)


def test_calibration_and_sky_are_those_of_the_survey(named):
    """Calibration to 4 %; skies of single nights to 0.75 mag, three times their spread."""
    (run, camcol, _, band), genuine = named
    chip = detector(run, camcol, band)
    assert genuine.calibration.mean() == pytest.approx(chip.calibration_nmgy, rel=0.04)
    assert genuine.calibration.std() < 0.003 * genuine.calibration.mean()
    brighter = 2.5 * np.log10(
        (genuine.sky.mean() * genuine.calibration.mean()) / (chip.sky_counts * chip.calibration_nmgy)
    )
    assert abs(brighter) < 0.75


@pytest.mark.parametrize("name, run, camcol", [("001000-1-0100.fit", 1000, 1), ("002583-2-0136.fits", 2583, 2)])
def test_detectors_are_those_of_the_pipelines_records(name, run, camcol):
    record = fits.getdata(REAL / f"psField-{name}", 6)[0]
    chips = [detector(run, camcol, band) for band in BANDS]
    np.testing.assert_allclose([chip.gain for chip in chips], record["gain"], rtol=1e-5)
    np.testing.assert_allclose([chip.dark_variance for chip in chips], record["dark_variance"], rtol=1e-5)


def test_the_width_is_the_pipelines():
    """psf_width is the effective width of the double Gaussian in the same record, which adds a wing in places."""
    for name in ("001000-1-0100.fit", "002583-2-0136.fits"):
        record = fits.getdata(REAL / f"psField-{name}", 6)[0]
        for index in range(1, len(BANDS)):
            parameters = [record[f"psf_{part}_2G"][index] for part in ("sigma1", "sigma2", "b")]
            width = SCALE_ARCSEC * double_gaussian_width(*parameters)
            assert width == pytest.approx(record["psf_width"][index], rel=0.06)


def star_widths(image, sigmas=60):
    """Fit a double Gaussian to each bright compact object; return the effective widths of the stars, arcsec."""
    smooth = gaussian_filter(image, 1.2)
    noise = 1.4826 * np.median(np.abs(smooth - np.median(smooth)))
    y, x = np.indices((21, 21)) - 10
    widths = []
    for row, column in np.argwhere((maximum_filter(smooth, 25) == smooth) & (smooth > sigmas * noise)):
        if not (20 < row < FRAME_ROWS - 21 and 20 < column < FRAME_COLUMNS - 21):
            continue
        cut = image[row - 10 : row + 11, column - 10 : column + 11].astype(np.float64)

        def residual(values, cut=cut):
            height, x0, y0, sigma, level, peak, ratio = values
            square = (x - x0) ** 2 + (y - y0) ** 2
            shape = np.exp(-square / (2 * sigma**2)) + peak * np.exp(-square / (2 * (ratio * sigma) ** 2))
            return ((height * shape / (1 + peak) + level - cut) / cut.max()).ravel()

        bounds = [(0, -3, -3, 0.6, -1, 0, 1.3), (np.inf, 3, 3, 5, 1, 0.6, 5)]
        fit = least_squares(residual, [cut.max(), 0, 0, 1.4, 0, 0.1, 2.2], bounds=bounds)
        sigma, peak, ratio = fit.x[3], fit.x[5], fit.x[6]
        if np.sqrt(np.mean(fit.fun**2)) < 0.03:
            widths.append(SCALE_ARCSEC * double_gaussian_width(sigma, ratio * sigma, peak))
    # Stars share one width, galaxies have many: the third that lies closest together, and what is near it.
    widths = np.sort(widths)
    third = max(5, len(widths) // 3)
    first = np.argmin(widths[third - 1 :] - widths[: len(widths) - third + 1])
    middle = np.median(widths[first : first + third])
    return widths[np.abs(widths / middle - 1) < 0.08]


def test_the_measurement_of_widths_recovers_a_drawn_one():
    image = np.random.default_rng(1).normal(0, 0.02, (FRAME_ROWS, FRAME_COLUMNS))
    star = point_spread_function(1.3).drawImage(nx=61, ny=61, scale=SCALE_ARCSEC).array
    for row in range(100, 1400, 150):
        for column in range(100, 1900, 300):
            image[row : row + 61, column : column + 61] += 200 * star
    # The pixel's own width is part of what is measured.
    assert np.median(star_widths(image)) == pytest.approx(1.3, rel=0.05)


def test_stars_are_as_wide_as_those_drawn(named):
    """Within 2.5 standard deviations of the simulation's widths over many strips."""
    (*_, band), genuine = named
    widths = star_widths(genuine.image)
    assert len(widths) >= 8
    width = np.median(widths)
    drawn = np.log([psf_width_arcsec(1, strip, 1, FIRST_FIELD, band) for strip in range(400)])
    assert abs(np.log(width) - drawn.mean()) < 2.5 * drawn.std()


def test_widths_within_a_strip_vary_as_those_drawn():
    """227 fields of one genuine strip: the seeing that the bands share, and each band's own part."""
    table = fits.getdata(REAL / "photoField-002583-2.fits")
    genuine = np.log(table["PSF_WIDTH"])
    drawn = np.log([[psf_width_arcsec(1, 9001, 2, field, band) for band in BANDS] for field in range(11, 238)])

    def spreads(values):
        away = values - np.median(values, axis=0)
        shared = away.mean(axis=1)
        return shared.std(), (away - shared[:, None]).std()

    assert spreads(drawn) == pytest.approx(spreads(genuine), rel=0.25)
    # A strip of good seeing, r and the bands' widths against it, as the simulation spreads them over strips.
    strips = np.log([[psf_width_arcsec(1, strip, 2, 11, band) for band in BANDS] for strip in range(400)])
    away = (np.median(genuine, axis=0) - strips.mean(axis=0)) / strips.std(axis=0)
    assert np.abs(away).max() < 2.5


def test_the_profile_is_the_pipelines():
    """Wider Gaussian and its share of the central value, against r of a genuine field."""
    record = fits.getdata(REAL / "psField-001000-1-0100.fit", 6)[0]
    assert record["psf_sigma2_2G"][2] / record["psf_sigma1_2G"][2] == pytest.approx(PSF_WIDE, rel=0.02)
    assert record["psf_b_2G"][2] == pytest.approx(PSF_WIDE_PEAK, rel=0.05)
    assert narrow_sigma_arcsec(1.0) * double_gaussian_width(1, PSF_WIDE, PSF_WIDE_PEAK) == pytest.approx(1)
