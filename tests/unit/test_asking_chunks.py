"""How a list is dealt to jobs, and what a job depends on."""

import json
import os
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from astromae.asking.chunks import MOST_CHUNKS, chunks_of, name_of
from astromae.asking.export import export_model
from astromae.asking.identity import identity_of, sources_of_model
from astromae.asking.joined import PART
from astromae.encoders import ENCODERS
from astromae.errors import InputError


def test_a_million_galaxies_are_counted_once(tmp_path):
    random, count = np.random.default_rng(1), 1_000_000
    ra, dec = random.uniform(110, 260, count), random.uniform(0, 60, count)
    table, counted = tmp_path / "mine.parquet", tmp_path / "kept/counts.json"
    pd.DataFrame({"ra": ra, "dec": dec}).to_parquet(table)
    assert chunks_of(table, counted) == 500
    start = time.process_time()
    assert chunks_of(table, counted) == 500
    assert time.process_time() - start < 0.1
    # Another list under the same name is counted again.
    pd.DataFrame({"ra": ra[:5000], "dec": dec[:5000]}).to_parquet(table)
    assert chunks_of(table, counted) == 5
    # As is one of the same size, by its time.
    pd.DataFrame({"ra": ra[5000:10000], "dec": dec[5000:10000]}).to_parquet(table)
    os.utime(table, ns=(1, 1))
    before = json.loads(counted.read_text())["of"]
    assert chunks_of(table, counted) == 5
    assert json.loads(counted.read_text())["of"] != before


@pytest.mark.parametrize("text", ["", "[]", '{"of": 1, "galaxies": "many", "fields": 3}'])
def test_damaged_counts_are_made_anew(tmp_path, text):
    (tmp_path / "mine.csv").write_text("ra,dec\n10,20\n")
    (tmp_path / "counts.json").write_text(text)
    assert chunks_of(tmp_path / "mine.csv", tmp_path / "counts.json") == 1
    with pytest.raises(InputError, match=r"none\.csv"):
        chunks_of(tmp_path / "none.csv", tmp_path / "counts.json")


def test_names_of_folders(tmp_path):
    assert name_of(tmp_path / "my galaxies; rm -rf.csv") == "my_galaxies__rm_-rf"
    assert name_of(tmp_path / "ü.csv") == "_"
    # The join names all parts in one command, of which Linux takes 128 kB.
    longest = f"results/predictions/{name_of(tmp_path / ('x' * 200))}/{PART.format(0)}"
    assert MOST_CHUNKS * len(json.dumps([longest])) < 100_000


def test_another_model_has_another_identity(of_images, tmp_path):
    own = identity_of(of_images)
    for name in ("recipe.json", "weights.safetensors", "reference.safetensors"):
        copy = tmp_path / name.partition(".")[0]
        shutil.copytree(of_images, copy)
        assert identity_of(copy) == own
        (copy / name).write_bytes((copy / name).read_bytes() + b"\0")
        assert identity_of(copy) != own
    with pytest.raises(InputError, match=r"recipe\.json: no such file; a model is a folder of results/models"):
        identity_of(tmp_path)
    with pytest.raises(InputError, match=r"none\.zip: no such file"):
        identity_of(tmp_path / "none.zip")


def test_a_job_reruns_where_its_network_changed(of_images, tmp_path):
    assert ENCODERS.source("inception") in sources_of_model(of_images)
    export_model(of_images, tmp_path / "model.zip")
    assert sources_of_model(tmp_path / "model.zip") == sources_of_model(of_images)
    recipe = json.loads((of_images / "recipe.json").read_text())
    recipe["recipe"]["branches"]["magnitude"] = "perhaps"
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "recipe.json").write_text(json.dumps(recipe))
    with pytest.raises(InputError, match=r"broken: not a model of this version that predicts \(branches\.magnitude"):
        sources_of_model(broken)
