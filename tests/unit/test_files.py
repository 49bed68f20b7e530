"""Checksums beside large files: of their content, and of nothing else."""

import hashlib
import os

from astromae.files import write_checksum


def test_of_a_file(tmp_path):
    path = tmp_path / "0000.h5"
    path.write_bytes(b"pixels")
    write_checksum(path)
    assert (tmp_path / "0000.h5.sha256").read_text() == hashlib.sha256(b"pixels").hexdigest() + "\n"


def test_of_a_folder(tmp_path):
    folder = tmp_path / "frames" / "1"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.fits").write_bytes(b"a")
    (folder / "deep/b.fits").write_bytes(b"b")

    def checksum():
        write_checksum(folder)
        return (tmp_path / "frames/1.sha256").read_text()

    first = checksum()
    os.utime(folder / "a.fits", (0, 0))
    assert checksum() == first
    (folder / "a.fits").write_bytes(b"c")
    changed = checksum()
    (folder / "a.fits").rename(folder / "c.fits")
    assert len({first, changed, checksum()}) == 3
