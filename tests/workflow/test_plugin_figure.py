"""A figure that a person's own file adds: drawn, captioned and shown, with no edit elsewhere."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from preset import PRESET

pytestmark = pytest.mark.workflow

PLUGIN = Path(__file__).parents[1] / "plugins/figure_histogram.py"


def test_a_figure_of_ones_own_is_drawn_and_shown(finished, tmp_path):
    copy = dataclasses.replace(finished, folder=tmp_path / "clone")
    shutil.copytree(finished.folder, copy.folder, symlinks=True)
    # Its name holds what a shell would make something else of.
    plugin = shutil.copy(PLUGIN, tmp_path / "my histogram; $HOME.py")
    arguments = (*PRESET, "--config", f"plugins=['{plugin}']")
    figures = {f"figure: histogram-{name}" for name in ("experiment1", "experiment2")}
    assert copy.plan_by_product(*arguments) == {*figures, "paper", "results_page", "all"}
    ran = copy.snakemake("--cores", "2", *arguments)
    assert ran.returncode == 0, ran.stdout[-5000:]
    results = copy.folder / "results"
    page = (results / "report/index.html").read_text()
    for name in ("experiment1", "experiment2"):
        assert (results / f"figures/histogram-{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (results / f"figures/histogram-{name}.png").stat().st_size > 2000
        assert f'<figure id="histogram-{name}"' in page and f"Test galaxies of {name}, in twelve bins." in page
    assert copy.plan(*arguments) == {}
    plugin_file = Path(plugin)
    plugin_file.write_text(plugin_file.read_text().replace("twelve", "a dozen of"))
    assert copy.plan_by_product(*arguments) == {*figures, "paper", "results_page", "all"}
    report = copy.folder / "report.html"
    ran = copy.snakemake(*arguments, "--report", str(report))
    assert "histogram-experiment2.png" in report.read_text() and "Distribution of redshifts" in report.read_text()
