from pathlib import Path

import numpy as np
import pytest
from astromae.errors import InputError
from astromae.survey.archive import check_archive, frame_address, frame_number, frames_folder
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


def test_frames_are_numbered_in_the_order_in_which_a_field_drifts_over_the_filters():
    """As the archive's own headers say, here for the field 2820-3-122."""
    assert {band: frame_number(122, band) for band in "riuzg"} == {"r": 122, "i": 124, "u": 126, "z": 128, "g": 130}


@pytest.mark.parametrize("inside", ["", "dr17", "dr17/eboss", "dr17/eboss/photoObj/frames", frames_folder(17)])
def test_a_mirror_may_be_given_by_any_folder_down_to_the_runs(tmp_path, inside):
    frame = tmp_path / frames_folder(17) / "3918/3/frame-g-003918-3-0213.fits.bz2"
    frame.parent.mkdir(parents=True)
    frame.touch()
    given = str(tmp_path / inside)
    check_archive(given, 17)
    check_archive((tmp_path / inside).as_uri(), 17)
    assert Path(frame_address(given, 17, 3918, 3, 213, "g")) == frame
    assert frame_address(f"https://mirror/{inside}", 17, 3918, 3, 213, "g").endswith(
        f"mirror/{frame.relative_to(tmp_path)}"
    )


@pytest.mark.parametrize("suffix", [".fits.bz2", ".fits.gz", ".fits"])
def test_a_mirror_may_hold_each_kind_of_file(tmp_path, suffix):
    folder = tmp_path / frames_folder(17) / "3918/3"
    folder.mkdir(parents=True)
    with pytest.raises(InputError, match="no frame below"):
        check_archive(str(tmp_path), 17)
    (folder / f"frame-g-003918-3-0213{suffix}").touch()
    check_archive(str(tmp_path), 17)


def test_a_folder_without_frames_is_refused_with_what_it_holds(tmp_path):
    with pytest.raises(InputError, match=r"archive is .*nowhere.*does not exist; allowed: a folder that holds dr17"):
        check_archive(str(tmp_path / "nowhere"), 17)
    with pytest.raises(InputError, match=r"which holds nothing, .*frames/301/\{run\}/\{camcol\}"):
        check_archive(str(tmp_path), 17)
    (tmp_path / "dr16/eboss/photoObj/frames/301/94/1").mkdir(parents=True)
    with pytest.raises(InputError, match=r"which holds dr16, .*while sdss\.release is 17"):
        check_archive(str(tmp_path), 17)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is no folder"):
        check_archive(str(tmp_path / "file"), 17)


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
