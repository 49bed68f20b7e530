"""Samples hold the galaxies' own pixels and say when a file is none."""

import numpy as np
import pandas as pd
import pytest
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.figures.samples import read_sample, write_sample
from evaluation_inputs import stamps_files


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
