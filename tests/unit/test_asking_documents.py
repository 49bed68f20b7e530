"""The page on one's own galaxies says what answers hold."""

import re
from pathlib import Path

from astromae.asking.answers import ENDS
from astromae.asking.flags import FLAGS

PAGE = (Path(__file__).parents[2] / "docs/your-own-galaxies.md").read_text()


def test_every_flag_is_explained_there():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, flags=re.M))
    assert {name: rows.get(name) for name in FLAGS} == FLAGS


def test_every_column_is_explained_there():
    for name in ("objid", "z_phot", "z_median", "z_mode", "z_err", *ENDS, "odds", "flags", "reason", "model"):
        assert f"`{name}`" in PAGE
