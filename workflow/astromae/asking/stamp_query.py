"""A stamp that is asked about among embeddings: its own embedding, by the encoder that made the others."""

import tempfile
from pathlib import Path

import numpy as np

from astromae.asking.embed import embed_galaxies
from astromae.asking.stamp_files import open_stamp_file
from astromae.asking.stamp_formats import is_stamp_file
from astromae.contracts.embeddings import Embeddings
from astromae.errors import InputError
from astromae.files import sha256
from astromae.model_archive import opened
from astromae.training.folders import RECIPE, WEIGHTS, read_recipe
from astromae.training.scaling import Scaling


def embed_stamp(embeddings: Embeddings, stamp: Path, encoder: Path | None = None) -> np.ndarray:
    """Return the embedding of one stamp, shape (width,).

    Parameters
    ----------
    embeddings
        Those that it will be searched among (`astromae.asking.embed`).
    stamp
        File of one stamp, as `astromae.asking.stamp_files` reads it; magnitudes beside it, where a model reads them.
    encoder
        Folder or archive of what made them; the one that they name when None.

    Raises
    ------
    InputError
        If the encoder is not there or is another one, or the file holds no stamp, several, or one that does not fit.
    """
    folder = _named_encoder(embeddings) if encoder is None else encoder
    if not is_stamp_file(stamp):
        raise InputError(f"{stamp}: holds no stamp (HDF5, FITS, .npy or .npz); name a galaxy by its objid or RA,DEC")
    with opened(folder) as unpacked:
        for file, name in ((RECIPE, "recipe"), (WEIGHTS, "weights")):
            if not (unpacked / file).is_file():
                raise InputError(f"{folder}: has no {file}; expected the encoder that made {embeddings.path}")
            if sha256(unpacked / file) != embeddings.about.get(name):
                raise InputError(
                    f"{folder}: its {file} is not that of the encoder that made {embeddings.path}; name that one with "
                    "--encoder, or embed the galaxies again"
                )
        about = read_recipe(unpacked)
        stamps = Scaling.from_json(about["scaling"]).stamps
        source = open_stamp_file(stamp, stamps, about["recipe"]["scaling"]["crop"])
        if len(source) != 1:
            raise InputError(f"{stamp}: holds {len(source)} stamps; give one")
        (batch,) = source.batches()
        if batch.reasons[0]:
            raise InputError(f"{stamp}: {batch.reasons[0]}")
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary, "embedding.h5")
        embed_galaxies(folder, stamp, output, None)
        return np.array(Embeddings(output).vectors[0])


def _named_encoder(embeddings: Embeddings) -> Path:
    named = embeddings.about.get("encoder")
    if not named or not Path(named).exists():
        where = f"{named}, is not there" if named else "is not said"
        raise InputError(f"{embeddings.path}: what made them, {where}; name it with --encoder")
    return Path(named)
