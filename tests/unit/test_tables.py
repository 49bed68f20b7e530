"""Tables: rows, intervals, published values, and bold type only where it is earned."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astromae.contracts.history import write_history
from astromae.contracts.predictions import read_predictions
from astromae.errors import InputError
from astromae.evaluation.scores import score
from astromae.tables.formatting import decimals_for, fixed, formatted_rows
from astromae.tables.metrics import columns_of, count_falling, read_table, write_table
from astromae.tables.published import published_table
from astromae.tasks.redshift import METRICS, redshift_metrics
from evaluation_inputs import SETTINGS, experiment_files, predictions_file


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    paths = experiment_files(folder, seeds=(1, 2))
    write_table("table4", paths[::-1], SETTINGS, folder / "t.csv", folder / "t.tex")
    return folder, paths


def test_rows_in_the_published_order_with_the_classical_row_last(made):
    folder, _ = made
    table = read_table(folder / "t.csv", METRICS)
    assert list(table.columns) == columns_of(METRICS)
    assert list(table["model"]) == [*published_table("table4"), "hgb-magnitudes"]
    assert set(table["n_test"]) == {400} and set(table["n_seeds"]) == {2}
    assert list(table["group"]) == ["scratch"] * 6 + ["pretrained"] * 8 + ["classical"]


def test_values_are_means_over_seeds_and_lie_in_their_intervals(made):
    folder, paths = made
    table = read_table(folder / "t.csv", METRICS).set_index("model")
    frames = [pd.read_parquet(path).query("subset == 'test'") for path in paths if "pcm-astromae" in str(path)]
    values = [redshift_metrics(f["z_spec"], f["z_pred"], SETTINGS.outlier_threshold) for f in frames]
    for metric in METRICS:
        mean = np.mean([value[metric] for value in values])
        assert table.loc["pcm-astromae", metric] == pytest.approx(mean, rel=1e-6)
        std = np.std([value[metric] for value in values], ddof=1)
        assert table.loc["pcm-astromae", f"{metric}_std"] == pytest.approx(std, rel=1e-5)
        assert (table[f"{metric}_low"] <= table[metric]).all(), metric
        assert (table[metric] <= table[f"{metric}_high"]).all(), metric


def test_one_seed_has_no_deviation(tmp_path):
    paths = experiment_files(tmp_path, "experiment2", "table5", classical=False)
    write_table("table5", paths, SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex")
    table = read_table(tmp_path / "t.csv", METRICS)
    assert list(table["model"]) == ["henghes", "pcm-astromae"]
    assert table["mse_std"].isna().all() and table["mse_published"].notna().all()
    assert table["nmad_published"].isna().all()  # the paper gives no NMAD


def test_a_model_that_was_still_falling_is_marked(tmp_path):
    paths = experiment_files(tmp_path, seeds=(1, 2), n=60)
    flat, steep, short = (tmp_path / name for name in ("flat.csv", "steep.csv", "short.csv"))
    for path, rows, fall in ((flat, 20, 0), (steep, 20, 1), (short, 5, 1)):
        losses = [
            {"update": n, "epoch": n, "learning_rate": 1, "train_loss": 1, "val_loss": 9 - fall * n / rows}
            for n in range(1, rows + 1)
        ]
        write_history(path, losses)
    histories = {"henghes": (flat, steep), "pcm-vit": (flat, flat), "plain-vit": (flat, short)}
    models = [model for model, files in histories.items() for _ in files]
    files = [path for pair in histories.values() for path in pair]
    write_table("table4", paths, SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex", models, files)
    falling = read_table(tmp_path / "t.csv", METRICS).set_index("model")["still_falling"]
    assert (falling["henghes"], falling["pcm-vit"]) == (1, 0)
    # Too short to say, and no training.
    assert falling[["plain-vit", "hgb-magnitudes"]].isna().all()
    rows = {row["model"]: row["falling"] for row in formatted_rows(read_table(tmp_path / "t.csv", METRICS), METRICS)}
    assert [model for model, marked in rows.items() if marked] == ["henghes"]
    assert r"Henghes et al. 2022$^\dagger$ &" in (tmp_path / "t.tex").read_text()
    with pytest.raises(InputError, match="6 names of models for 5 histories"):
        count_falling(models, files[1:])


def test_a_table_of_validation_galaxies_sees_no_test_galaxy(tmp_path):
    paths = experiment_files(tmp_path, n=60)
    settings = SETTINGS.model_copy(update={"subset": "val"})
    write_table("table4", paths, settings, tmp_path / "t.csv", tmp_path / "t.tex")
    for path in paths:
        table = pd.read_parquet(path)
        table.loc[table["subset"] == "test", "z_pred"] += 1
        pq.write_table(
            pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(pq.read_schema(path).metadata),
            path,
        )
    write_table("table4", paths, settings, tmp_path / "u.csv", tmp_path / "u.tex")
    assert (tmp_path / "u.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()
    assert set(read_table(tmp_path / "t.csv", METRICS)["n_test"]) == {50}
    assert "% 50 validation galaxies;" in (tmp_path / "t.tex").read_text()


def test_same_predictions_same_bytes(made, tmp_path):
    folder, paths = made
    write_table("table4", paths[::-1], SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex")
    for name in ("t.csv", "t.tex"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_published_values_are_those_of_the_paper():
    table4, table5 = published_table("table4"), published_table("table5")
    assert len(table4) == 14 and len(table5) == 2 and published_table("table6") == {}
    assert table4["pcm-astromae"] == {
        "group": "pretrained", "mse": "0.00053", "mae": "0.01520", "bias": "-0.00037", "precision": "0.01391",
        "r2": "0.95601",
    }  # fmt: skip
    assert table5["henghes"]["mse"] == "0.00037" and table5["pcm-astromae"]["r2"] == "0.97239"


@pytest.mark.parametrize("name", ["table4", "table5"])
def test_published_values_agree_with_one_another(name):
    """MSE / (1 - R2) is the variance of the test redshifts: one number for all rows, up to the printed digits."""
    rows = published_table(name).values()
    low = max((float(row["mse"]) - 5e-6) / (1 - float(row["r2"]) + 5e-6) for row in rows)
    high = min((float(row["mse"]) + 5e-6) / (1 - float(row["r2"]) - 5e-6) for row in rows)
    assert low <= high
    assert all(float(row["precision"]) < float(row["mae"]) for row in rows)


def test_best_only_where_paired_differences_support_it(tmp_path):
    seeds = (1, 2, 3, 4, 5)
    paths = [
        predictions_file(tmp_path, "e", model, "scratch", sigma, seed)
        for model, sigma in (("clear", 0.010), ("worse", 0.020))
        for seed in seeds
    ]
    write_table("none", paths, SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex")
    table = read_table(tmp_path / "t.csv", METRICS).set_index("model")
    for metric in ("mse", "mae", "nmad", "precision", "r2", "outliers"):
        assert table[f"{metric}_best"].to_dict() == {"clear": 1, "worse": 0}, metric
    assert r"\mathbf" in (tmp_path / "t.tex").read_text()

    # with one seed nobody is best, however clear the difference on these galaxies
    one = [path for path in paths if "seed1" in str(path)]
    write_table("none", one, SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex")
    assert not read_table(tmp_path / "t.csv", METRICS).filter(like="_best").to_numpy().any()
    tex = (tmp_path / "t.tex").read_text()
    assert r"\mathbf" not in tex and "differences between trained models are not judged" in tex

    # a third of equal quality: nobody is best
    paths += [predictions_file(tmp_path, "e", "equal", "scratch", 0.010, seed) for seed in seeds]
    write_table("none", paths, SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex")
    table = read_table(tmp_path / "t.csv", METRICS)
    assert table["nmad_best"].sum() == 0 and table["mae_best"].sum() == 0


def test_paired_differences_are_sharper_than_two_intervals(tmp_path):
    """Two models that share most of their error differ by less than the error of either."""
    from astromae.contracts.predictions import write_predictions

    paths = [predictions_file(tmp_path, "e", "first", "scratch", 0.02, seed) for seed in (1, 2, 3)]
    for seed, path in enumerate(tuple(paths), 1):
        table = pd.read_parquet(path)
        table["z_pred"] += 0.0005 * (1 + table["z_spec"]) * np.sign(table["z_pred"] - table["z_spec"])
        paths.append(tmp_path / f"second{seed}.parquet")
        recipe = {"experiment": "e", "model": "second", "group": "scratch", "task": "redshift"}
        write_predictions(paths[-1], table, recipe, seed, 1000)
    scores = score(read_predictions(paths), SETTINGS)
    low, high = scores.limits("mae")
    assert low[1] < high[0], "the intervals overlap"
    difference = scores.differences("mae", [(1, 0)])
    (below,), (above,) = difference.limits(0.95)
    assert 0 < below <= difference.value[0] <= above
    assert scores.best("mae") == 0


def test_tex_is_balanced_and_says_what_it_shows(made):
    folder, _ = made
    tex = (folder / "t.tex").read_text()
    body = [line for line in tex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in body} == {len(METRICS)}
    assert tex.count("{") == tex.count("}")
    assert "0.01391" in tex and "400 test galaxies" in tex and r"\toprule" in tex
    assert not re.search(r"\bnan\b", tex)


def test_a_column_has_the_digits_of_its_intervals():
    assert decimals_for(0.0123) == 3 and decimals_for(0.00098) == 5 and decimals_for(3.2) == 1
    assert fixed(-0.000001, 4) == "0.0000" and fixed(0.5, 2, sign=True) == "+0.50" and fixed(float("nan"), 2) == ""


def test_formatted_rows_hold_text_for_every_metric(made):
    rows = formatted_rows(read_table(made[0] / "t.csv", METRICS), METRICS)
    assert rows[2]["name"] == "Henghes et al. 2022" and rows[0]["name"] == "plain-ViT-magnitude (scratch)"
    for row in rows:
        assert set(row["cells"]) == set(METRICS)
        assert all(cell["value"] and cell["up"][0] == "+" for cell in row["cells"].values())
    assert rows[9]["cells"]["precision"]["published"] == "0.01391"


class TestBadInput:
    def test_a_seed_that_one_model_lacks(self, tmp_path):
        paths = [predictions_file(tmp_path, "e", "a", "scratch", 0.01, seed) for seed in (1, 2)]
        paths.append(predictions_file(tmp_path, "e", "b", "scratch", 0.01, 2))
        with pytest.raises(InputError, match=r"no predictions of 'b' with seed 1, .* over the same seeds only"):
            read_predictions(paths)

    def test_other_galaxies(self, tmp_path):
        paths = [
            predictions_file(tmp_path, "e", "a", "scratch", 0.01),
            predictions_file(tmp_path, "e", "b", "scratch", 0.01, n=399),
        ]
        with pytest.raises(InputError, match=r"b.*399 test galaxies that differ from the 400"):
            read_predictions(paths)

    def test_other_experiment(self, tmp_path):
        paths = [
            predictions_file(tmp_path, "e", "a", "scratch", 0.01),
            predictions_file(tmp_path, "f", "b", "scratch", 0.01),
        ]
        with pytest.raises(InputError, match="of one experiment"):
            read_predictions(paths)

    def test_a_seed_twice(self, tmp_path):
        path = predictions_file(tmp_path, "e", "a", "scratch", 0.01)
        with pytest.raises(InputError, match="seed 42 was already given"):
            read_predictions([path, path])

    def test_no_predictions_file(self, tmp_path):
        (tmp_path / "p.parquet").write_text("no")
        with pytest.raises(InputError, match=r"p\.parquet: not a readable Parquet file"):
            read_predictions([tmp_path / "p.parquet"])
        pd.DataFrame({"objid": [1]}).to_parquet(tmp_path / "q.parquet")
        with pytest.raises(InputError, match="metadata"):
            read_predictions([tmp_path / "q.parquet"])

    def test_a_table_of_another_kind(self, tmp_path):
        (tmp_path / "t.csv").write_text("group,model\na,b\n")
        with pytest.raises(InputError, match=r"t\.csv: not a table of this version: no mse"):
            read_table(tmp_path / "t.csv", METRICS)
