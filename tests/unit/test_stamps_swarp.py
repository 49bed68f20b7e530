"""Stamps against SWarp, the program with which the published stamps were made."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from astromae.constants import BANDS
from astromae.contracts.shards import StampSet
from astromae.stamps.cut import cut_chunk
from astromae.stamps.fetch import Archive, Download
from astromae.stamps.resample import resample
from astromae.stamps.tangent import TangentPlane, stamp_to_frame
from astromae.survey.archive import frame_address
from astropy.io import fits

SWARP = shutil.which("SWarp") or shutil.which("swarp")
pytestmark = pytest.mark.skipif(SWARP is None, reason="SWarp is not installed (Debian package swarp)")

SCALE_DEG = 0.396 / 3600

#: Largest difference from SWarp, and the root mean square of what storing as float16 adds, in units of the sky
#: noise of a pixel.
KERNEL_FRACTION, STORED_FRACTION = 0.005, 0.01


def swarp(folder, image, header, ra, dec):
    """Resample a frame onto a galaxy's stamp with SWarp's own Lanczos-3."""
    fits.PrimaryHDU(image, header).writeto(folder / "frame.fits", overwrite=True)
    grid = {"SIMPLE": "T", "BITPIX": -32, "NAXIS": 2, "NAXIS1": 64, "NAXIS2": 64}
    grid |= {"CTYPE1": "'RA---TAN'", "CTYPE2": "'DEC--TAN'", "CRPIX1": 32.5, "CRPIX2": 32.5}
    grid |= {"CRVAL1": f"{ra:.12f}", "CRVAL2": f"{dec:.12f}"}
    grid |= {"CD1_1": -SCALE_DEG, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": SCALE_DEG}
    (folder / "stamp.head").write_text("".join(f"{key:<8}= {value}\n" for key, value in grid.items()) + "END\n")
    options = {
        "IMAGEOUT_NAME": "stamp.fits",
        "WEIGHTOUT_NAME": "weight.fits",
        "RESAMPLING_TYPE": "LANCZOS3",
        "OVERSAMPLING": "1",
        # Exact astrometry; SWarp otherwise interpolates positions to 0.001 px.
        "PROJECTION_ERR": "0",
        "SUBTRACT_BACK": "N",
        "FSCALASTRO_TYPE": "FIXED",
        "COMBINE_TYPE": "AVERAGE",
        "WRITE_XML": "N",
        "VERBOSE_TYPE": "QUIET",
        "NTHREADS": "1",
    }
    command = [SWARP, "frame.fits", "-c", "/dev/null"]
    for key, value in options.items():
        command += [f"-{key}", value]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return fits.getdata(folder / "stamp.fits").astype(np.float64)


def test_stamps_of_the_survey(small_survey, tmp_path):
    shard = tmp_path / "0000.h5"
    archive = Archive(str(small_survey.archive), small_survey.release, Download(), tmp_path)
    cut_chunk(small_survey.catalog, 0, archive, 64, shard, tmp_path / "0000.missing.csv")
    stamps = StampSet([shard])
    galaxies = pd.read_parquet(small_survey.catalog)
    galaxies = galaxies[galaxies["objid"].isin(stamps.objid)]
    field = galaxies.iloc[0][["run", "camcol", "field"]].astype(int)
    for band in ("u", "r"):
        with fits.open(frame_address(str(small_survey.archive), small_survey.release, *field, band)) as file:
            image, header = file[0].data.astype(np.float32), file[0].header
        noise = 1.4826 * np.median(np.abs(image))
        plane = TangentPlane.from_header(header)
        for objid, ra, dec in galaxies[["objid", "ra", "dec"]].head(3).itertuples(index=False):
            theirs = swarp(tmp_path, image, header, ra, dec)
            ours = resample(image, 0, stamp_to_frame(np.array([ra]), np.array([dec]), 64, plane), 64)[0]
            stored = stamps.read(np.array([objid]))[0, BANDS.index(band)].astype(np.float64)
            assert np.abs(ours - theirs).max() < KERNEL_FRACTION * noise
            assert np.sqrt(np.mean((stored - theirs) ** 2)) < STORED_FRACTION * noise


@pytest.mark.parametrize("angle_deg", [37.0, 171.0])
def test_rotated_frame_of_pure_noise(tmp_path, angle_deg):
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    cd = SCALE_DEG * np.array([[-cosine, sine], [sine, cosine]])
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 40.0})
    header.update({"CRPIX1": 101.0, "CRPIX2": 91.0} | {f"CD{i + 1}_{j + 1}": cd[i, j] for i in (0, 1) for j in (0, 1)})
    image = np.random.default_rng(1).normal(0, 1, (180, 200)).astype(np.float32)
    ra, dec = 150.0 + 3.3 * SCALE_DEG, 40.0 - 2.2 * SCALE_DEG
    maps = stamp_to_frame(np.array([ra]), np.array([dec]), 64, TangentPlane.from_header(header))
    difference = resample(image, 0, maps, 64)[0] - swarp(tmp_path, image, header, ra, dec)
    assert np.abs(difference).max() < KERNEL_FRACTION
