"""Distributions of redshift as a task: losses and distributions against numpy and scipy, and a training."""

import numpy as np
import pandas as pd
import pytest
import torch
from astromae.contracts.predictions import read_predictions
from astromae.errors import InputError
from astromae.evaluation.densities import galaxy_scores, point_estimates
from astromae.tasks import task_name, task_of
from scipy import stats
from training_inputs import FINETUNING, model_recipe, run_train

BINS, Z_MAX = 40, 0.4
EDGES = np.linspace(0, Z_MAX, BINS + 1)
SOFTMAX = {"task": "redshift_pdf", "bins": BINS, "z_max": Z_MAX, "smoothing_bins": 0.0}
MIXTURE = {**SOFTMAX, "head": "mixture", "components": 3}


@pytest.fixture
def labelled():
    random = np.random.default_rng(1)
    return random.normal(size=(30, BINS)), random.uniform(0, 0.5, 30)


def softmax(outputs):
    return np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)


def test_without_settings_there_are_180_bins_as_published():
    task = task_of("redshift_pdf")
    assert (task.outputs, len(task.edges), task.edges[-1]) == (180, 181, 0.4)
    assert task_name(SOFTMAX) == task_name("redshift_pdf") == "redshift_pdf"


def test_a_label_lies_in_the_bin_that_begins_at_or_below_it(labelled):
    outputs, _ = labelled
    z = np.array([0.0, 0.0099, 0.01, 0.399, 0.4, 0.65])
    loss = task_of(SOFTMAX).loss(torch.tensor(outputs[:6]), torch.tensor(z[:, None], dtype=torch.float32))
    expected = -np.log(softmax(outputs[:6])[np.arange(6), [0, 0, 1, 39, 39, 39]]).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_a_smoothed_label_is_spread_by_a_normal_distribution(labelled):
    outputs, z = labelled
    task = task_of({**SOFTMAX, "smoothing_bins": 1.5})
    spread = np.diff(stats.norm.cdf(EDGES, np.clip(z, 0, Z_MAX)[:, None], 1.5 * Z_MAX / BINS), axis=1)
    spread /= spread.sum(axis=1, keepdims=True)
    expected = -(spread * np.log(softmax(outputs))).sum(axis=1).mean()
    loss = task.loss(torch.tensor(outputs), torch.tensor(z[:, None], dtype=torch.float32))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def components(outputs):
    """Return weights, means and deviations (n, 3), as the mixture's bounds have them."""
    weight, mean, deviation = np.split(outputs, 3, axis=1)
    sigmoid = 1 / (1 + np.exp(-np.stack([mean, deviation])))
    least = Z_MAX / BINS / 2
    return softmax(weight), Z_MAX * sigmoid[0], least * (Z_MAX / 2 / least) ** sigmoid[1]


def cut_off(mean, deviation):
    return stats.truncnorm(-mean / deviation, (Z_MAX - mean) / deviation, loc=mean, scale=deviation)


def test_a_mixture_has_the_likelihood_and_the_bins_of_cut_off_normal_distributions():
    random = np.random.default_rng(2)
    outputs, z = 2 * random.normal(size=(20, 9)), random.uniform(0, Z_MAX, 20)
    weight, mean, deviation = components(outputs)
    density = (weight * cut_off(mean, deviation).pdf(z[:, None])).sum(axis=1)
    task = task_of(MIXTURE)
    loss = task.loss(torch.tensor(outputs), torch.tensor(z[:, None], dtype=torch.float32))
    assert loss.item() == pytest.approx(-np.log(density).mean(), rel=1e-4)
    cdf = sum(weight[:, [k]] * cut_off(mean[:, [k]], deviation[:, [k]]).cdf(EDGES) for k in range(3))
    np.testing.assert_allclose(task.predict(outputs)["z_pdf"], np.diff(cdf, axis=1), atol=1e-6)


@pytest.mark.parametrize("named", [SOFTMAX, MIXTURE])
@pytest.mark.parametrize("size", [0.0, 1e3, -1e4])
def test_strange_outputs_give_distributions_inside_the_bins(named, size):
    """A mixture in an unbounded redshift gave 1e14 for strange stamps."""
    task = task_of(named)
    outputs = np.full((2, task.outputs), size) * np.linspace(-1, 1, task.outputs)
    predicted = task.predict(outputs)
    assert predicted["z_pdf"].sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert all(
        ((values >= 0) & (values <= Z_MAX)).all()
        for name, values in predicted.items()
        if name not in ("z_err", "z_pdf")
    )
    outputs = torch.tensor(outputs, dtype=torch.float32, requires_grad=True)
    task.loss(outputs, torch.tensor([[0.1], [0.7]])).backward()
    assert torch.isfinite(outputs.grad).all()


def test_point_estimates_are_those_of_the_distribution(labelled):
    outputs, _ = labelled
    predicted = task_of(SOFTMAX).predict(outputs)
    points = point_estimates(EDGES, softmax(outputs))
    for column, name in {"z_pred": "mean", "z_median": "median", "z_mode": "mode", "z_err": "deviation"}.items():
        np.testing.assert_allclose(predicted[column], points[name], rtol=1e-6)
    # Over the centres of the bins, not their left edges.
    np.testing.assert_allclose(predicted["z_pred"], softmax(outputs) @ (EDGES[1:] + EDGES[:-1]) / 2, rtol=1e-6)


@pytest.mark.parametrize("named", [SOFTMAX, MIXTURE])
def test_training_starts_with_the_distribution_of_the_labels(named):
    z = np.random.default_rng(3).normal(0.12, 0.03, (5000, 1))
    task = task_of(named)
    start = task.predict(task.bias(z)[None].astype(np.float64))
    assert start["z_pred"] == pytest.approx(0.12, abs=0.005)
    assert start["z_err"] == pytest.approx(0.03, abs=0.015)


@pytest.mark.parametrize("named", [SOFTMAX, MIXTURE])
def test_a_model_of_distributions_is_trained_and_read(galaxies, tmp_path, named):
    finetuning = {**FINETUNING, "epochs": 30}
    branches = {"encoder": None, "pretrained": False, "frozen": False, "inception": False, "magnitude": True}
    recipe = model_recipe(finetuning, task=named, backbone=None, **branches)
    run_train(galaxies, tmp_path, recipe)
    path = tmp_path / "predictions.parquet"
    table = pd.read_parquet(path)
    masses = np.stack(table.z_pdf)
    assert masses.dtype == np.float32 and masses.shape == (len(table), BINS)
    np.testing.assert_allclose(table.z_pred, point_estimates(EDGES, masses)["mean"], atol=1e-6)
    # It has learnt: better than the distribution of all labels for each galaxy.
    known = table.z_spec.to_numpy()
    alike = np.repeat(np.histogram(known, EDGES)[0][None] / len(known), len(known), axis=0)
    assert galaxy_scores(EDGES, masses, known)["crps"].mean() < galaxy_scores(EDGES, alike, known)["crps"].mean()
    read = read_predictions([path])
    assert task_of(read.task).edges.tolist() == EDGES.tolist()
    assert set(read.models[0].predicted) == {"z_pred", "z_median", "z_mode", "z_err"}


@pytest.mark.parametrize("own", [{"bins": 1}, {"z_max": 0.0}, {"head": "gauss"}, {"smoothing_bins": -1.0}, {"bin": 3}])
def test_wrong_settings_are_refused(own):
    with pytest.raises(InputError):
        task_of({**SOFTMAX, **own})


@pytest.mark.parametrize("named", [SOFTMAX, MIXTURE], ids=["softmax", "mixture"])
def test_redshifts_beyond_the_bins_are_refused_where_they_are_many(named):
    z = np.append(np.full(197, 0.1), [0.5, 0.61, 0.45])[:, None]
    with pytest.raises(
        InputError, match=r"z_max is 0\.4, and 3 of 200 training galaxies have .*up to 0\.610: set it above"
    ):
        task_of(named).bias(z)
    task_of(named).bias(z[:198])


def test_wrong_settings_of_a_task_are_named():
    with pytest.raises(InputError, match=r"task redshift_pdf: bins: .*greater than or equal to 2 \(got 1\)"):
        task_of({"task": "redshift_pdf", "bins": 1})
