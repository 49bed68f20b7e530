"""The figure of error against how much is hidden."""

import itertools

import pandas as pd
import pytest
from astromae.errors import InputError
from astromae.figures.mask_ratios import draw_mask_ratios
from matplotlib.figure import Figure

RATIOS = {"mae-04": 0.25, "mae-12": 0.75, "mae-15": 0.9375}


def write_errors(path):
    ways = [*itertools.product(RATIOS, ["small-vit"], [True, False]), ("supervised", "small-vit", False)]
    ways.append(("local-linear", "none", False))
    rows = []
    for (objective, network, frozen), count in itertools.product(ways, (100, 1000)):
        nmad = 0.03 - 0.005 * (count == 1000) - 0.004 * (not frozen) + 0.01 * abs(RATIOS.get(objective, 0.5) - 0.6)
        row = {"objective": objective, "network": network, "frozen": frozen, "n_labels": count, "n_seeds": 3}
        rows.append(
            {**row, "nmad": nmad, "nmad_low": nmad - 0.001, "nmad_high": nmad + 0.002, "outliers": 0.1, "r2": 0.8}
        )
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_each_number_of_labels_has_its_panel_and_each_ratio_its_place(tmp_path, monkeypatch):
    table = write_errors(tmp_path / "errors.csv")
    drawn = []
    monkeypatch.setattr(Figure, "legend", lambda figure, handles, names, **look: drawn.append((figure, names)))
    draw_mask_ratios(table, "redshift", RATIOS, tmp_path / "a.pdf", tmp_path / "a.png")
    ((figure, names),) = drawn
    assert names == ["small-vit, labels only", "small-vit, frozen", "small-vit, fine-tuned"]
    assert [axes.get_title() for axes in figure.axes] == ["100 labels", "1,000 labels"]
    for axes in figure.axes:
        places = [list(container[0].get_xdata()) for container in axes.containers]
        assert places == [[0.25, 0.75, 0.9375]] * 2
    expected = pd.read_csv(table).query("objective == 'mae-12' and frozen and n_labels == 100").nmad.item()
    assert figure.axes[0].containers[0][0].get_ydata()[1] == pytest.approx(expected)


def test_it_is_the_same_bytes_each_time_and_names_a_bad_table(tmp_path):
    table = write_errors(tmp_path / "errors.csv")
    for name in ("one", "two"):
        draw_mask_ratios(table, "redshift", RATIOS, tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    (tmp_path / "bad.csv").write_text("objective,network\n")
    with pytest.raises(InputError, match="no frozen, n_labels, n_seeds"):
        draw_mask_ratios(tmp_path / "bad.csv", "redshift", RATIOS, tmp_path / "x.pdf", tmp_path / "x.png")
