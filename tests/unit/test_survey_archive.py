from pathlib import Path

import numpy as np
import pytest
from astromae.errors import InputError
from astromae.survey.archive import frame_address
from astromae.survey.objid import decode_objid, encode_objid
from astropy.io import fits

REAL = Path(__file__).parents[3] / "shared/data/sdss-real"


@pytest.mark.parametrize(
    "release, folder",
    [(9, "boss"), (12, "boss"), (13, "eboss"), (17, "eboss"), (18, "prior-surveys/sdss4-dr17-eboss")],
)
def test_addresses_follow_the_archive(release, folder):
    address = frame_address("https://data.sdss.org/sas/", release, 3918, 3, 213, "g")
    assert address == (
        f"https://data.sdss.org/sas/dr{release}/{folder}/photoObj/frames/301/3918/3/frame-g-003918-3-0213.fits.bz2"
    )


def test_what_the_archive_lacks_is_refused():
    with pytest.raises(InputError, match="release: 8"):
        frame_address("/archive", 8, 1000, 1, 100, "r")
    with pytest.raises(InputError, match="band: 'y'"):
        frame_address("/archive", 17, 1000, 1, 100, "y")


def test_object_identifiers_round_trip():
    objid = encode_objid([1000, 9001], [1, 6], [100, 4095], [19, 65535])
    parts = decode_objid(objid)
    assert objid.dtype == np.int64
    assert parts["run"].tolist() == [1000, 9001]
    assert parts["camcol"].tolist() == [1, 6]
    assert parts["field"].tolist() == [100, 4095]
    assert parts["id"].tolist() == [19, 65535]
    with pytest.raises(InputError, match="camcol"):
        encode_objid(1000, 8, 100, 1)


@pytest.mark.skipif(not REAL.exists(), reason="the real SDSS files are not beside this repository")
def test_object_identifiers_are_those_of_the_survey():
    table = fits.getdata(REAL / "photoObj-001000-1-0100.fits", 1)
    ours = encode_objid(table["RUN"], table["CAMCOL"], table["FIELD"], table["ID"])
    assert ours.tolist() == [int(objid) for objid in table["OBJID"]]
