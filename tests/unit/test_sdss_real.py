"""Real bytes of the survey: a corrected frame (its first 100 rows and columns) and the objects measured on it."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from astromae.photometry import SOFTENING, asinh_magnitude, pogson_magnitude
from astromae.stamps.fetch import Archive, Download
from astromae.stamps.frame import FrameId, FrameReader
from astromae.stamps.tangent import TangentPlane, apply_map, tangent_basis
from astromae.survey.frames import interpolate_sky
from astromae.survey.geometry import great_circle_to_sky
from astropy.io import fits

REAL = Path(__file__).parents[3] / "shared/data/sdss-real"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here")

FRAME = REAL / "frame-r-001000-1-0100.fits.bz2"
SCALE_ARCSEC = 0.396
R = 2
#: Radii of the apertures of APERFLUX, arcsec (SDSS algorithms page "Measures of flux": annuli of the radial profile).
RADII_ARCSEC = np.array([0.23, 0.68, 1.03, 1.76, 3.00, 4.63, 7.43])


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    archive = Archive(str(REAL), 17, Download(), tmp_path_factory.mktemp("real"))
    with archive.open(str(FRAME)) as stream:
        reader = FrameReader(stream, FrameId(1000, 1, 100, "r"), shape=(100, 100))
        return reader.header, reader.read_rows(0, 100)


@pytest.fixture(scope="module")
def objects():
    return fits.getdata(REAL / "photoObj-001000-1-0100.fits")


@pytest.fixture(scope="module")
def astrans():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fits.getdata(FRAME, 3)[0]


def pixel_to_sky(astrans, row, column):
    """The pipeline's own astrometry: asTrans, where the centre of the first pixel is (0.5, 0.5)."""
    shift_row = sum(astrans[f"DROW{power}"] * column**power for power in range(4))
    shift_column = sum(astrans[f"DCOL{power}"] * column**power for power in range(4))
    row, column = row + shift_row, column + shift_column
    mu = astrans["A"] + astrans["B"] * row + astrans["C"] * column
    nu = astrans["D"] + astrans["E"] * row + astrans["F"] * column
    places = [great_circle_to_sky(*place, astrans["NODE"], astrans["INCL"])[:2] for place in zip(mu, nu, strict=True)]
    return np.transpose(places)


def sky_to_pixel(header, ra, dec):
    """Columns and rows, from 0, by the frame's header, as stamps are cut."""
    vectors = tangent_basis(np.asarray(ra, float), np.asarray(dec, float))[..., 2]
    to_pixel = np.linalg.inv(TangentPlane.from_header(header).pixel_to_vector())
    maps = np.zeros((len(vectors), 3, 3))
    maps[:, :, 2] = vectors @ to_pixel.T
    column, row = apply_map(maps, np.zeros(1), np.zeros(1))
    return column[:, 0], row[:, 0]


def test_the_frame_is_read(frame):
    header, image = frame
    np.testing.assert_array_equal(image, fits.getdata(FRAME))
    assert 0.005 < np.median(np.abs(image)) / 0.6745 < 0.05  # nanomaggies: r-band sky noise, not counts
    plane = TangentPlane.from_header(header)
    assert np.sqrt(-np.linalg.det(plane.cd)) * 3600 == pytest.approx(SCALE_ARCSEC, abs=1e-4)


def test_the_header_follows_the_pipelines_astrometry(frame, astrans):
    """To 0.1 px in the middle of the CCD, where half a pixel of another convention would show.

    Towards its sides the header, which has no distortion, leaves asTrans, which has: by 0.35 px at most.
    """
    row, column = (axis.reshape(-1) for axis in np.meshgrid([0.5, 744.5, 1488.5], np.linspace(0.5, 2047.5, 21)))
    found_column, found_row = sky_to_pixel(frame[0], *pixel_to_sky(astrans, row, column))
    away = np.hypot(found_column - (column - 0.5), found_row - (row - 0.5))
    assert away[np.abs(column - 1024.5) < 150].max() < 0.1
    assert away.max() < 0.35


def test_objects_land_where_photoobj_says(objects, astrans):
    """To 0.1 px, but for a shift of 0.21 arcsec that all objects of the field share.

    The positions of this photoObj file come from another astrometric solution than the frame: DR8's was off by
    as much at high declination, and this field lies at 60 degrees.
    """
    row, column = objects["ROWC"][:, R].astype(float), objects["COLC"][:, R].astype(float)
    ra, dec = pixel_to_sky(astrans, row, column)
    east = (objects["RA"] - ra) * np.cos(np.radians(dec)) * 3600
    north = (objects["DEC"] - dec) * 3600
    shift = np.array([np.median(east), np.median(north)])
    assert np.hypot(*shift) == pytest.approx(0.21, abs=0.02)
    away = np.hypot(east - shift[0], north - shift[1])
    assert away.max() < 0.1 * SCALE_ARCSEC


def aperture_flux(image, row, column, radius, parts=10):
    """Sum the pixels inside a circle, those on its edge in parts."""
    fine = [(np.arange(size * parts) + 0.5) / parts - 0.5 for size in image.shape]
    inside = (fine[0][:, None] - row) ** 2 + (fine[1] - column) ** 2 < radius**2
    share = inside.reshape(image.shape[0], parts, image.shape[1], parts).mean(axis=(1, 3))
    return (image * share).sum()


def test_aperture_fluxes_are_photoobjs(frame, objects):
    """Of the one star that lies whole on the cropped frame, in apertures of 0.23 to 7.4 arcsec.

    The pipeline measures above its own sky at the object, the frame is given above the smooth sky of its third part.
    """
    star = objects[objects["ID"] == 179][0]
    # Half-integer centres: the pixel counted as 0 lies at 0.5.
    row, column = star["ROWC"][R] - 0.5, star["COLC"][R] - 0.5
    with fits.open(FRAME) as file:
        calibration, table = file[1].data, file[2].data[0]
    grid, columns, rows = (np.asarray(table[name], np.float32) for name in ("ALLSKY", "XINTERP", "YINTERP"))
    sky = interpolate_sky(grid, columns, rows)[int(row), int(column)] * calibration[int(column)]
    excess = sky - star["SKYFLUX"][R] * SCALE_ARCSEC**2
    assert abs(excess) < 0.01 * sky
    radii = RADII_ARCSEC / SCALE_ARCSEC
    ours = np.array([aperture_flux(frame[1].astype(float), row, column, radius) for radius in radii])
    error = star["APERFLUX_IVAR"][R, : len(radii)] ** -0.5
    assert (np.abs(ours + excess * np.pi * radii**2 - star["APERFLUX"][R, : len(radii)]) < error).all()


@pytest.mark.parametrize("kind", ["PSF", "MODEL", "CMODEL", "PETRO", "FIBER"])
def test_magnitudes_follow_both_formulae(objects, kind):
    flux, magnitude = objects[f"{kind}FLUX"].astype(float), objects[f"{kind}MAG"]
    measured = objects[f"{kind}FLUX_IVAR"] > 0
    np.testing.assert_allclose(asinh_magnitude(flux)[measured], magnitude[measured], atol=2e-6)
    # Where the flux is 50 times the softening b, the two differ by 2.5 / ln 10 (b / f)^2.
    bright = measured & (flux > 50 * np.array(list(SOFTENING.values())) * 1e9)
    assert bright.sum() >= 10
    assert np.abs(pogson_magnitude(flux[bright]) - magnitude[bright]).max() < 2.5 / np.log(10) / 50**2
