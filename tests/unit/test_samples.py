"""Samples hold the galaxies' own pixels and say when a file is none."""

import numpy as np
import pandas as pd
import pytest
from astromae.contracts.shards import StampSet, write_shard
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.evaluation.bands import reference_bands
from astromae.figures.composites import coloured_bands
from astromae.figures.residuals import read_magnitudes
from astromae.figures.samples import read_sample, write_sample
from astromae.figures.sampling import sample_examples, write_magnitudes
from astromae.figures.stamps import draw_stamps
from evaluation_inputs import FIRST_OBJID, galaxy_images, split_file, stamps_files


@pytest.fixture(scope="module")
def stamps(tmp_path_factory):
    return stamps_files(tmp_path_factory.mktemp("stamps"))[0]


def test_a_sample_holds_the_stamps_of_its_galaxies(stamps, tmp_path):
    objid = StampSet(stamps).objid[[40, 3, 17]]
    galaxies = pd.DataFrame({"objid": objid, "z": [0.3, 0.1, 0.2], "mag_r": [17.0, 16.5, 14.25]})
    write_sample(tmp_path / "a.h5", galaxies, stamps)
    write_sample(tmp_path / "b.h5", galaxies, stamps)
    sample = read_sample(tmp_path / "a.h5")
    pd.testing.assert_frame_equal(sample.galaxies, galaxies)
    np.testing.assert_array_equal(sample.images, StampSet(stamps).read(objid))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_file_that_is_no_sample(stamps, tmp_path):
    (tmp_path / "text.h5").write_text("galaxies")
    for path in (tmp_path / "text.h5", tmp_path / "absent.h5", stamps[0]):
        with pytest.raises(InputError, match=f"{path.name}: not a readable sample"):
            read_sample(path)


def test_bands_pixels_and_magnitudes_are_those_of_the_survey(tmp_path):
    """Four bands of other names, in smaller stamps of smaller pixels, from shards to drawn stamps."""
    stamps = StampFormat(("b", "v", "y", "w"), 0.2, 48)
    objid = np.arange(40) + FIRST_OBJID
    images = galaxy_images(40, 48)[:, :4]
    write_shard(tmp_path / "0000.h5", objid, images, stamps, "mine", "none")
    galaxies = pd.DataFrame({"objid": objid, "z": np.linspace(0.01, 0.3, 40), "mag_v": 18.0, "mag_y": 17.5})
    galaxies.to_parquet(tmp_path / "galaxies.parquet")
    sample_examples(tmp_path / "galaxies.parquet", [tmp_path / "0000.h5"], tmp_path / "stamps.h5")
    sample = read_sample(tmp_path / "stamps.h5")
    assert (sample.bands, sample.pixel_scale_arcsec, sample.about["magnitude"]) == (stamps.bands, 0.2, "y")
    assert sample.images.shape == (6, 4, 48, 48)
    draw_stamps(tmp_path / "stamps.h5", tmp_path / "a.pdf", tmp_path / "a.png")
    split = split_file(tmp_path / "split.parquet", {"test": 40}, first=FIRST_OBJID)
    write_magnitudes(tmp_path / "galaxies.parquet", split, tmp_path / "m.parquet")
    assert list(read_magnitudes(tmp_path / "m.parquet", objid)) == ["mag_v", "mag_y"]
    assert coloured_bands(stamps.bands) == ["w", "y", "b"] and coloured_bands("grizy") == ["i", "r", "g"]
    assert reference_bands(("i",)) == ("i", "i") and reference_bands("ugriz") == ("g", "r")
