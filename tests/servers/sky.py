"""A small sky in the tables of SkyServer: galaxies that the selections take, and rows that each cut must leave out."""

import numpy as np
from astromae.constants import BANDS
from astromae.survey.objid import encode_objid

#: Identifier of a spectrum whose plate needs the 64th bit; it fits in no signed integer.
LARGE_SPECOBJID = 11788562849394253824


def small_sky(galaxies: int = 240, seed: int = 3) -> dict[str, dict[str, list]]:
    """Return the tables SpecObjAll, PhotoObjAll, Photoz and galSpecInfo.

    The first `galaxies` objects pass the selection of Pasquet et al. 2019, spread over all right ascensions; of every
    twelfth there is a second spectrum. Behind them stands one object for each cut, which fails that cut alone.
    """
    random = np.random.default_rng(seed)
    colours = np.random.default_rng([seed, 1])
    spoilers = [
        {"class": "STAR"},
        {"zWarning": 4},
        {"targetType": "SKY"},
        {"survey": "boss"},
        {"primtarget": 32},
        {"clean": 0},
        {"insideMask": 3},
        {"z": 0.41},
        {"z": -0.001},
        {"petroMag_r": 18.4},
        {"no_photoz": True},
        {"no_info": True},
    ]
    spec: dict[str, list] = {name: [] for name in SPEC_COLUMNS}
    photo: dict[str, list] = {name: [] for name in PHOTO_COLUMNS}
    photoz: dict[str, list] = {"objID": [], "z": []}
    info: dict[str, list] = {"specObjID": [], "primtarget": []}
    for number in range(galaxies + len(spoilers)):
        spoiler = spoilers[number - galaxies] if number >= galaxies else {}
        run, camcol, field = 1000 + int(random.integers(4)), int(random.integers(1, 7)), 100 + int(random.integers(5))
        # As SkyServer writes them: a real has seven digits, a position fifteen.
        magnitudes = random.uniform(15.0, 17.5) + np.array([1.9, 0.9, 0.2, -0.1, -0.3])
        magnitudes = np.round(magnitudes + colours.normal(0, 0.1, len(BANDS)), 5)
        extinction = np.round(random.uniform(0.01, 0.2) * np.array([5.155, 3.793, 2.751, 2.086, 1.479]), 7)
        objid = int(encode_objid(run, camcol, field, number + 1))
        ra, dec = float(np.round(random.uniform(0, 360), 10)), float(np.round(random.uniform(-5, 60), 10))
        row = {
            "objID": objid,
            "ra": ra,
            "dec": dec,
            "run": run,
            "rerun": 301,
            "camcol": camcol,
            "field": field,
            "fieldID": int(encode_objid(run, camcol, field, 0)),
            "clean": 1,
            "mode": 1,
            "insideMask": 0,
            "calibStatus_r": 1,
            "petroMag_r": float(np.round(magnitudes[2] + 0.05, 5)),
        }
        row |= {f"modelMag_{band}": float(value) for band, value in zip(BANDS, magnitudes, strict=True)}
        row |= {f"extinction_{band}": float(value) for band, value in zip(BANDS, extinction, strict=True)}
        if number == 5:
            row["modelMag_u"] = -9999.0
        if number == 6:
            row["modelMag_z"] = None
        row |= {name: value for name, value in spoiler.items() if name in row}
        for name in PHOTO_COLUMNS:
            photo[name].append(row[name])
        if "no_photoz" not in spoiler:
            photoz["objID"].append(objid)
            photoz["z"].append(float(np.round(random.uniform(0, 0.3), 6)))
        for copy in range(2 if number % 12 == 0 and not spoiler else 1):
            specobjid = LARGE_SPECOBJID + number if number == 7 else 299489676975171584 + 1024 * number + copy
            spectrum = {
                # SQLite has no unsigned integers; as text they are compared and written exactly.
                "specObjID": str(specobjid),
                "bestObjID": objid,
                "ra": ra + 1e-5,
                "dec": dec,
                "z": float(np.round(random.uniform(0.01, 0.35), 7)),
                "zErr": float(np.round(random.uniform(1e-5, 3e-5), 10)),
                "class": "GALAXY",
                "zWarning": 0,
                "targetType": "SCIENCE",
                "survey": "sdss",
            }
            spectrum |= {name: value for name, value in spoiler.items() if name in spectrum}
            for name in SPEC_COLUMNS:
                spec[name].append(spectrum[name])
            if "no_info" not in spoiler:
                info["specObjID"].append(str(specobjid))
                info["primtarget"].append(spoiler.get("primtarget", 64))
    return {"SpecObjAll": spec, "PhotoObjAll": photo, "Photoz": photoz, "galSpecInfo": info}


SPEC_COLUMNS = ("specObjID", "bestObjID", "ra", "dec", "z", "zErr", "class", "zWarning", "targetType", "survey")
PHOTO_COLUMNS = (
    *(
        "objID",
        "ra",
        "dec",
        "run",
        "rerun",
        "camcol",
        "field",
        "fieldID",
        "clean",
        "mode",
        "insideMask",
        "calibStatus_r",
    ),
    *(f"modelMag_{band}" for band in BANDS),
    *(f"extinction_{band}" for band in BANDS),
    "petroMag_r",
)
