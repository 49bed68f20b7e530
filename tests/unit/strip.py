"""Two fields of round, noiseless galaxies in the archive's own files, and the cutting of them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS
from astromae.contracts.missing import read_missing
from astromae.stamps.cut import cut_chunk
from astromae.stamps.fetch import Archive, Download
from astromae.survey.archive import frame_address
from astromae.survey.embedded import EmbeddedSettings
from astromae.survey.frames import Frame, write_frame
from astromae.survey.geometry import field_astrometry

RUN, CAMCOL, RELEASE = 9001, 2, 17
SURVEY = EmbeddedSettings(runs=[RUN], seed=3).simulation
# Patience of milliseconds where the configuration has seconds.
QUICK = Download(connections=8, requests_per_second=1000, timeout_s=20, tries=3, backoff_s=0.01)
SIGMA_PX, FLUX_NMGY = 1.8, {"u": 20.0, "g": 50.0, "r": 100.0, "i": 130.0, "z": 160.0}


@dataclass(frozen=True)
class Strip:
    """Two fields of round, noiseless galaxies; two galaxies of the first are too near an edge."""

    archive: Path
    catalog: Path
    galaxies: pd.DataFrame

    def frame(self, field, band):
        return Path(frame_address(str(self.archive), RELEASE, RUN, CAMCOL, field, band))


def draw(band, field, galaxies):
    wcs = field_astrometry(SURVEY, RUN, CAMCOL, field, band).wcs()
    image = np.zeros((FRAME_ROWS, FRAME_COLUMNS), np.float32)
    columns, rows = wcs.all_world2pix(galaxies["ra"], galaxies["dec"], 0)
    y, x = np.indices(image.shape, sparse=True)
    for column, row in zip(columns, rows, strict=True):
        box = np.s_[max(0, int(row) - 15) : int(row) + 17, max(0, int(column) - 15) : int(column) + 17]
        square = (x[:, box[1]] - column) ** 2 + (y[box[0]] - row) ** 2
        image[box] += FLUX_NMGY[band] / (2 * np.pi * SIGMA_PX**2) * np.exp(-square / (2 * SIGMA_PX**2))
    return image


def draw_strip(folder):
    """Draw the frames and write the catalogue into a folder."""
    # Columns and rows in r. 52 lies well on the frame in r, but not in g, whose grid is offset by 14 columns.
    pixels = {11: [(300.2, 200.7), (52.0, 700.0), (1500.5, 1100.1), (20.0, 400.0)], 12: [(1000.0, 150.3), (200, 300)]}
    parts = []
    for field, places in pixels.items():
        ra, dec = field_astrometry(SURVEY, RUN, CAMCOL, field, "r").wcs().all_pix2world(*np.transpose(places), 0)
        parts.append(pd.DataFrame({"ra": ra, "dec": dec, "field": np.int32(field)}))
    galaxies = pd.concat(parts, ignore_index=True)
    galaxies["objid"] = 1237648720000000000 + np.arange(len(galaxies))
    galaxies["run"], galaxies["camcol"], galaxies["chunk"] = RUN, CAMCOL, 0
    for field in pixels:
        for band in BANDS:
            image = draw(band, field, galaxies[galaxies["field"] == field])
            path = Path(frame_address(str(folder), RELEASE, RUN, CAMCOL, field, band))
            path.parent.mkdir(parents=True, exist_ok=True)
            calibration, sky = np.full(FRAME_COLUMNS, 0.005, np.float32), np.zeros((192, 256), np.float32)
            astrometry = field_astrometry(SURVEY, RUN, CAMCOL, field, band)
            write_frame(path, Frame(RUN, CAMCOL, field, band, image, calibration, sky, astrometry))
    # Fields alternate, as in a catalogue that is sorted by something else.
    galaxies = galaxies.iloc[[0, 4, 1, 2, 5, 3]].reset_index(drop=True)
    return Strip(folder, write_catalog(folder / "galaxies.parquet", galaxies), galaxies)


def write_catalog(path, galaxies):
    table = pa.Table.from_pandas(galaxies, preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"astromae": json.dumps({"survey": "test"})}), path)
    return path


def cut(strip, folder, archive=None, chunk=0, download=QUICK, threads=1):
    """Cut a strip's galaxies; return the shard, and the reason of each that is missing."""
    folder.mkdir(exist_ok=True)
    shard, missing = folder / "0000.h5", folder / "0000.missing.csv"
    frames = Archive(str(archive or strip.archive), RELEASE, download, folder)
    cut_chunk(strip.catalog, chunk, frames, 64, shard, missing, threads)
    objid, reasons = read_missing(missing)
    return shard, dict(zip(objid.tolist(), reasons, strict=True))
