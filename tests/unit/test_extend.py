"""The examples of docs/extend.md are plugins that work."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from astromae.classical import METHODS
from astromae.encoders import ENCODERS
from astromae.figures import FIGURES
from astromae.objectives import OBJECTIVES
from astromae.plugins import load_plugins
from astromae.products import members
from astromae.run import Run
from astromae.settings.files import read_configuration
from astromae.tasks import TASKS

DOCUMENT = (Path(__file__).parents[2] / "docs/extend.md").read_text()
BLOCKS = dict(re.findall(r"^## An? (\w+)\n(?:(?!^## ).)*?^```python\n(.*?)^```", DOCUMENT, flags=re.M | re.S))


@pytest.fixture(scope="module", autouse=True)
def loaded(forget_entries, tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    for name, block in BLOCKS.items():
        (folder / f"example_{name}.py").write_text(block)
    load_plugins(sorted(folder.iterdir()))


def test_each_table_has_an_example():
    assert list(BLOCKS) == ["encoder", "objective", "task", "method", "figure"]  # a survey's is a file of the tests


def test_the_encoder_and_the_objective_learn():
    network = ENCODERS["small-cnn"]
    encoder = network.build(network.settings(width=6), 5, 32, "pretrain")
    objective = OBJECTIVES["follow"]
    learner = objective.build(encoder, objective.settings(momentum=0.9), 5)
    views = torch.rand(objective.views, 4, 5, 32, 32, generator=torch.Generator().manual_seed(0))
    assert encoder.features(views[0]).shape == (4, 6)
    before = [weight.clone() for weight in learner.slower.parameters()]
    optimiser = torch.optim.SGD(learner.encoder.parameters(), 0.1)
    learner(*views).backward()
    optimiser.step()
    learner.after_step(0, 1)
    assert any(not torch.equal(old, new) for old, new in zip(before, learner.slower.parameters(), strict=True))


def test_the_task_measures():
    task = TASKS["brightness"]
    columns = {"mag_r_true": np.array([17.0, 18.0]), "mag_r_pred": np.array([[17.1, 18.3]])}
    measured = task.measure(columns, 0.05)
    assert list(measured) == list(task.metrics)
    assert measured["mae"] == pytest.approx([0.2])


def test_the_method_fits_a_plane():
    method = METHODS["plane"]
    magnitudes = 18 + np.random.default_rng(0).normal(size=(30, 5))
    labels = np.column_stack([0.1 + magnitudes @ [0.1, 0.2, 0, 0, -0.1], magnitudes[:, 0]])
    inputs = method.measure(magnitudes, "ugriz")
    np.testing.assert_allclose(method.predict(method.fit(inputs, labels, 0), inputs), labels, atol=1e-9)


def test_the_figure_has_a_member_for_each_experiment():
    run = Run(read_configuration())
    assert {"redshifts-experiment1", "redshifts-experiment2"} <= set(members(FIGURES, run))
