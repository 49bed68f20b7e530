"""Bins hold every galaxy, intervals hold the truth, and models are chosen by galaxies that are not shown."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astromae.contracts.predictions import ModelPredictions, Predictions, read_predictions
from astromae.errors import InputError
from astromae.evaluation.binned import BINS, LEAST, bin_edges, binned_metrics
from astromae.evaluation.representatives import best_of_groups
from astromae.evaluation.scores import score
from astromae.figures.residuals import read_magnitudes
from astromae.figures.sampling import WORST, choose_worst, write_magnitudes
from astromae.tasks.redshift import METRICS
from evaluation_inputs import FIRST_OBJID, SETTINGS, catalog_file, predictions_file, split_file


@pytest.mark.parametrize("n", [20, 45, 300, 5000])
def test_bins_hold_all_galaxies_and_enough_of_them(n):
    quantity = np.append(np.random.default_rng(n).normal(17, 1, n), 40.0)  # with an outlier
    edges = bin_edges(quantity)
    assert (np.diff(edges) > 0).all() and edges[0] == quantity.min() and edges[-1] == quantity.max()
    counts = np.histogram(quantity, edges)[0]
    assert counts.sum() == n + 1 and (counts >= min(LEAST, n)).all()
    assert len(counts) <= BINS and (len(counts) > 3 or n < 300)


def test_a_bin_has_the_dispersion_of_its_galaxies():
    """Errors grow with the quantity, for two seeds of one model."""
    rng = np.random.default_rng(1)
    n = 20_000
    quantity = rng.uniform(0, 1, n)
    z = rng.uniform(0.05, 0.3, n)
    z_pred = z + (1 + z) * (0.003 + (0.01 + 0.02 * quantity) * rng.standard_normal((2, n)))
    model = ModelPredictions("a", "scratch", (1, 2), {"z_pred": z_pred})
    found = binned_metrics(
        quantity, Predictions("e", "redshift", np.arange(n), {"z_spec": z}, n, (model,)), SETTINGS, ("bias", "nmad")
    )
    truth = 0.01 + 0.02 * found.centre
    assert found.count.sum() == n and found.value["nmad"].shape == (1, len(found.centre))
    np.testing.assert_allclose(found.value["nmad"][0], truth, rtol=0.05)
    assert ((found.low["bias"] < found.value["bias"]) & (found.value["bias"] < found.high["bias"])).all()


def test_models_are_binned_by_what_each_predicts():
    """The mean galaxy of a bin of true redshift is not that of a bin of the estimate: here the latter is unbiased."""
    rng = np.random.default_rng(3)
    n = 6000
    estimate = rng.normal(0.15, 0.03, (2, n))
    z = estimate[0] + rng.normal(0, 0.03, n)
    estimate[1] = 0.15
    estimate[1, ::2] = 0.2
    models = tuple(
        ModelPredictions(name, "scratch", (1,), {"z_pred": own[None]}) for name, own in zip("ab", estimate, strict=True)
    )
    data = Predictions("e", "redshift", np.arange(n), {"z_spec": z}, n, models)
    by_truth = binned_metrics(z, data, SETTINGS, ("bias",))
    by_estimate = binned_metrics(np.stack([estimate[0], estimate[0][::-1]]), data, SETTINGS, ("bias",))
    assert by_estimate.value["bias"].shape == (2, len(by_estimate.count)) and by_estimate.count.sum() == n
    assert np.abs(by_estimate.value["bias"][0]).max() < 0.006
    assert by_truth.value["bias"][0, 0] > 0.02 and by_truth.value["bias"][0, -1] < -0.02
    # Where each model has few galaxies, bins are joined for all.
    few = binned_metrics(estimate, data, SETTINGS, ("bias",))
    assert len(few.count) <= 2


def test_intervals_of_bins_hold_the_truth():
    """Three seeds that share most of each galaxy's error and scatter by 3 % in dispersion."""
    rng = np.random.default_rng(2)
    n, truth = 1500, {"bias": 0.003, "nmad": 0.02 * 1.48 / 1.482602}
    held = {metric: [] for metric in truth}
    for _ in range(60):
        z = rng.uniform(0.05, 0.3, n)
        sigma = 0.02 * (1 + 0.03 * rng.standard_normal((3, 1)))
        dz = 0.003 + sigma * (0.8**0.5 * rng.standard_normal(n) + 0.2**0.5 * rng.standard_normal((3, n)))
        model = ModelPredictions("a", "scratch", (1, 2, 3), {"z_pred": z + (1 + z) * dz})
        data = Predictions("e", "redshift", np.arange(n), {"z_spec": z}, n, (model,))
        found = binned_metrics(rng.uniform(0, 1, n), data, SETTINGS, tuple(truth))
        for metric, value in truth.items():
            held[metric] += list((found.low[metric][0] < value) & (value < found.high[metric][0]))
    for metric, each in held.items():
        # binomial: 0.95 +- 0.009 for 600 bins
        assert len(each) == 600 and 0.92 <= np.mean(each) <= 0.98, metric


def test_intervals_of_a_bin_are_those_of_a_table(tmp_path):
    """Few galaxies make one bin. Two seeds that differ by more than galaxies scatter widen its interval."""
    paths = [
        predictions_file(tmp_path, "e", model, "scratch", 0.01, seed, n=45) for model in ("a", "b") for seed in (1, 2)
    ]
    test = read_predictions(paths)
    apart = replace(
        test.models[1], predicted={"z_pred": test.models[1].predicted["z_pred"] + np.array([[-0.02], [0.02]])}
    )
    test = replace(test, models=(test.models[0], apart))
    found = binned_metrics(test.targets["z_spec"], test, SETTINGS, METRICS)
    assert found.count.tolist() == [45]
    table = score(test, SETTINGS)
    for metric in METRICS:
        np.testing.assert_array_equal(found.value[metric][:, 0], table.value(metric))
        np.testing.assert_array_equal(np.stack([found.low[metric], found.high[metric]])[..., 0], table.limits(metric))
    assert (found.high["bias"] - found.low["bias"])[1, 0] > 0.03 > 2 * (found.high["bias"] - found.low["bias"])[0, 0]


def swap(path, subset_sigma):
    """Replace the errors of a subset's galaxies by normal ones."""
    table = pq.read_table(path)
    rows = table.to_pandas()
    for subset, sigma in subset_sigma.items():
        here = rows["subset"] == subset
        rows.loc[here, "z_pred"] = rows.loc[here, "z_spec"] + sigma * np.random.default_rng(3).standard_normal(
            here.sum()
        )
    pq.write_table(pa.Table.from_pandas(rows).replace_schema_metadata(table.schema.metadata), path)


def test_models_are_chosen_by_validation_galaxies(tmp_path):
    paths = [
        predictions_file(tmp_path, "e", model, group, 0.01)
        for model, group in [("a", "scratch"), ("b", "scratch"), ("c", "pretrained")]
    ]
    swap(paths[0], {"val": 0.05, "test": 0.001})  # best on the test galaxies, and not to be chosen for that
    assert best_of_groups(read_predictions(paths), paths) == ["b", "c"]
    assert choose_worst(paths[:2])[0] == "b"


def test_the_worst_galaxies_are_the_worst(tmp_path):
    paths = [predictions_file(tmp_path, "e", "pcm-astromae", "pretrained", 0.02, seed) for seed in (1, 2)]
    _, worst = choose_worst(paths)
    frames = [pd.read_parquet(path).query("subset == 'test'").set_index("objid") for path in paths]
    z, z_pred = frames[0]["z_spec"], (frames[0]["z_pred"] + frames[1]["z_pred"]) / 2
    error = ((z_pred - z) / (1 + z)).abs().sort_values(ascending=False)
    assert list(worst["objid"]) == list(error.index[:WORST])
    np.testing.assert_allclose(worst["z_pred"], z_pred[worst["objid"]])


def test_magnitudes_are_those_of_the_test_galaxies(tmp_path):
    catalog = catalog_file(tmp_path / "galaxies.parquet", 50)
    split = split_file(tmp_path / "split.parquet", {"train": 20, "test": 30}, first=FIRST_OBJID)
    write_magnitudes(catalog, split, tmp_path / "m.parquet")
    objid = np.arange(20, 50)[::-1] + FIRST_OBJID
    found = read_magnitudes(tmp_path / "m.parquet", objid)
    expected = pd.read_parquet(catalog).set_index("objid").loc[objid]
    np.testing.assert_allclose(found["mag_r"], expected["mag_r"], rtol=1e-6)
    with pytest.raises(InputError, match=r"m\.parquet: lacks 1 of 2 test galaxies"):
        read_magnitudes(tmp_path / "m.parquet", np.array([FIRST_OBJID + 30, FIRST_OBJID]))
    other = split_file(tmp_path / "other.parquet", {"train": 1, "test": 3})
    with pytest.raises(InputError, match="holds no test galaxy"):
        write_magnitudes(catalog, other, tmp_path / "n.parquet")
