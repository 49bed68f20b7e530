"""The table and the figure of calibration, from files of predictions; and qp's file."""

import contextlib

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astromae.cli import app
from astromae.contracts.densities import read_densities
from astromae.contracts.predictions import write_predictions
from astromae.contracts.qp_file import write_qp
from astromae.documents.values_experiment import distributions_text
from astromae.errors import InputError
from astromae.evaluation.calibration import calibration
from astromae.figures.pit import draw_nz, draw_pit
from astromae.figures.style import drawing
from astromae.settings.evaluation import Evaluation
from astromae.tables.calibration import PRINTED, calibration_table, read_calibration_table, write_calibration_table
from astromae.tables.conformal import conformal_table, write_conformal_table
from astromae.tables.rail import write_rail_table
from astromae.tasks import task_of
from scipy import stats

NAMED = {"task": "redshift_pdf", "bins": 80, "z_max": 0.4}
EDGES = task_of(NAMED).edges


def predictions(folder, model, seed=1, widened=1.0, subsets=(("val", 400), ("test", 900)), task=NAMED):
    """Write predictions of normal distributions, `widened` against the errors."""
    random = np.random.default_rng(seed)
    n = sum(count for _, count in subsets)
    mean, deviation = random.uniform(0.1, 0.3, n), random.uniform(0.01, 0.02, n)
    masses = np.diff(stats.norm.cdf((EDGES - mean[:, None]) / (widened * deviation[:, None])), axis=1)
    columns = {name: mean for name in ("z_pred", "z_median", "z_mode", "z_err")}
    columns |= {"z_pdf": list((masses / masses.sum(axis=1, keepdims=True)).astype(np.float32))} if task == NAMED else {}
    table = pd.DataFrame(
        {
            # In no order, as galaxies are dealt to subsets.
            "objid": random.permutation(n),
            "z_spec": mean + random.normal(0, deviation),
            **columns,
            "subset": np.repeat([name for name, _ in subsets], [count for _, count in subsets]),
        }
    )
    path = folder / f"{model}-{seed}.parquet"
    recipe = {"experiment": "one", "model": model, "group": "pretrained", "task": task}
    write_predictions(path, table, recipe, seed, 1000)
    return path, table


def test_densities_are_read_as_they_were_written(tmp_path):
    path, table = predictions(tmp_path, "henghes")
    read = read_densities(path, "val")
    expected = table[table.subset == "val"].sort_values("objid")
    assert (read.experiment, read.model, read.seed) == ("one", "henghes", 1)
    np.testing.assert_array_equal(read.objid, expected.objid)
    np.testing.assert_array_equal(read.target, expected.z_spec)
    np.testing.assert_array_equal(read.masses, np.stack(expected.z_pdf))
    np.testing.assert_array_equal(read.edges, EDGES)


def test_each_model_is_judged_as_it_is_and_recalibrated(tmp_path):
    paths = [predictions(tmp_path, "henghes", seed)[0] for seed in (1, 2)]
    paths += [predictions(tmp_path, "plain-vit", seed, widened=2.0)[0] for seed in (1, 2)]
    write_calibration_table(paths, Evaluation(), tmp_path / "t.csv", tmp_path / "t.tex")
    table = read_calibration_table(tmp_path / "t.csv")
    assert list(zip(table.model, table.recalibrated, strict=True)) == [
        *(("henghes", 0), ("henghes", 1), ("plain-vit", 0), ("plain-vit", 1))
    ]
    assert (table.n_test == 900).all() and (table.n_seeds == 2).all()
    one = [calibration(read.edges, read.masses, read.target) for read in map(read_densities, paths[:2])]
    assert table.crps[0] == pytest.approx(np.mean([each["crps"] for each in one]))
    assert table.pit_ks_p[0] == pytest.approx(min(1, 2 * min(each["pit_ks_p"] for each in one)))
    assert table.pit_ks_p[0] > 0.01 and table.pit_ks_p[2] < 1e-6
    assert table.pit_ks[3] < table.pit_ks[2] / 2 and table.crps[3] < table.crps[2]
    tex = (tmp_path / "t.tex").read_text()
    assert tex.count("recalibrated &") == 2 and all(head.replace("%", r"\%") in tex for head in PRINTED.values())


def test_validation_galaxies_are_not_recalibrated_by_themselves(tmp_path):
    path, _ = predictions(tmp_path, "henghes")
    assert calibration_table([path], "val").recalibrated.tolist() == [0]


def test_few_validation_galaxies_make_a_coarse_map_and_too_few_none(tmp_path):
    some, _ = predictions(tmp_path, "henghes", subsets=(("val", 25), ("test", 200)))
    few, _ = predictions(tmp_path, "knn", subsets=(("val", 15), ("test", 200)))
    table = calibration_table([some, few])
    assert list(zip(table.model, table.recalibrated, strict=True)) == [("henghes", 0), ("henghes", 1), ("knn", 0)]


def test_conformal_intervals_of_estimates(tmp_path):
    paths = [predictions(tmp_path, name)[0] for name in ("henghes", "knn")]
    _, frame = predictions(tmp_path, "henghes", 1)
    write_conformal_table(paths, Evaluation(), tmp_path / "t.csv", tmp_path / "t.tex")
    table = pd.read_csv(tmp_path / "t.csv")
    assert table.model.tolist() == ["henghes", "knn"] and (table.n_val == 400).all() and (table.n_test == 900).all()
    assert table.coverage_68[0] == pytest.approx(0.68, abs=0.06) and table.coverage_95[0] == pytest.approx(
        0.95, abs=0.03
    )
    write_conformal_table(paths[:1], Evaluation(), tmp_path / "one.csv", tmp_path / "one.tex")
    one = pd.read_csv(tmp_path / "one.csv")
    val = frame[frame.subset == "val"]
    scores = np.sort(np.abs(val.z_spec - val.z_pred) / (1 + val.z_pred))
    # The ceil(401 x 0.68)-th smallest.
    assert one.width_68[0] == pytest.approx(scores[272], rel=1e-5)
    assert (tmp_path / "t.tex").read_text().count(r"\\") == 3


def test_validation_galaxies_do_not_judge_intervals_of_themselves(tmp_path):
    path, _ = predictions(tmp_path, "henghes")
    table = conformal_table([path], "val")
    assert table.coverage_68.isna().all() and table.width_68.gt(0).all()
    write_calibration_table([path], Evaluation(subset="val"), tmp_path / "t.csv", tmp_path / "t.tex")
    assert (tmp_path / "t.tex").read_text().startswith("% validation galaxies")


def test_masses_that_are_none_are_refused(tmp_path):
    path, _ = predictions(tmp_path, "henghes")
    table = pq.read_table(path)
    wrong = pa.array([[0.5] * 80] * len(table), pa.list_(pa.float32()))
    pq.write_table(table.set_column(table.schema.names.index("z_pdf"), "z_pdf", wrong), path)
    with pytest.raises(InputError, match=r"henghes-1\.parquet: the masses of 900 of 900 galaxies"):
        read_densities(path)


def test_redshifts_beyond_all_bins_are_drawn(tmp_path):
    path, _ = predictions(tmp_path, "henghes")
    far = pq.read_table(path).to_pandas().assign(z_spec=0.6)
    recipe = {"experiment": "one", "model": "far", "group": "pretrained", "task": NAMED}
    write_predictions(tmp_path / "far.parquet", far, recipe, 1, 1000)
    draw_nz([tmp_path / "far.parquet"], tmp_path / "n.pdf", tmp_path / "n.png")
    assert (tmp_path / "n.png").stat().st_size > 5000


def test_the_paper_says_what_the_table_does(tmp_path):
    paths = [predictions(tmp_path, "henghes")[0], predictions(tmp_path, "plain-vit", widened=2.0)[0]]
    write_calibration_table(paths, Evaluation(), tmp_path / "t.csv", tmp_path / "t.tex")
    said = distributions_text(tmp_path / "t.csv", "one", paths[0], Evaluation())
    assert (said["bins"], said["z_max"]) == ("80", "0.4")
    assert [row["best"] for row in said["rows"]] == [True, False, False, False]
    assert said["rows"][0]["passes"] and not said["rows"][2]["passes"]
    assert set(said["rows"][0]["cells"]) == {column["key"] for column in said["columns"]}


def test_figures_are_drawn_and_repeat(tmp_path):
    paths = [predictions(tmp_path, name)[0] for name in ("henghes", "plain-vit", "pcm-vit", "inception-only", "knn")]
    for draw in (lambda *to: draw_pit(paths, *to), lambda *to: draw_nz(paths, *to)):
        for number in range(2):
            draw(tmp_path / f"{number}.pdf", tmp_path / f"{number}.png")
        assert (tmp_path / "0.pdf").read_bytes() == (tmp_path / "1.pdf").read_bytes()
        assert (tmp_path / "0.png").stat().st_size > 5000


def test_no_bar_of_a_pit_is_cut_off(tmp_path, monkeypatch):
    """Overconfident distributions have tall bars at both ends, and need not be the first panel."""
    shown = []

    @contextlib.contextmanager
    def watched(*given):
        with drawing(*given) as figure:
            yield figure
            shown.extend((axes.get_ylim()[1], axes.dataLim.ymax) for axes in figure.axes)

    monkeypatch.setattr("astromae.figures.pit.drawing", watched)
    paths = [predictions(tmp_path, "henghes")[0], predictions(tmp_path, "plain-vit", widened=0.3)[0]]
    draw_pit(paths, tmp_path / "p.pdf", tmp_path / "p.png")
    assert len(shown) == 2
    assert shown[1][1] > 2 * shown[0][1]
    assert all(top >= highest for top, highest in shown)


def test_predictions_without_distributions_are_refused(tmp_path):
    path, _ = predictions(tmp_path, "henghes", task="redshift")
    with pytest.raises(InputError, match=r"henghes-1\.parquet: predicts redshift without distributions"):
        read_densities(path)
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(InputError, match=r"text\.parquet: not a readable file of predictions"):
        read_densities(tmp_path / "text.parquet")
    path, _ = predictions(tmp_path, "other", subsets=(("val", 10),))
    with pytest.raises(InputError, match="no row with subset `test`"):
        read_densities(path)


def test_distributions_are_exported_for_qp(tmp_path, capsys):
    path, _ = predictions(tmp_path, "henghes")
    app(["export", str(path), "--output", str(tmp_path / "pdf.hdf5")], standalone_mode=False)
    read = read_densities(path)
    with h5py.File(tmp_path / "pdf.hdf5") as file:
        assert set(file["ancil"]) == {"objid", "redshift", "zmean", "zmedian", "zmode"}
        np.testing.assert_array_equal(file["data/pdfs"], read.masses)
        np.testing.assert_array_equal(file["ancil/redshift"], read.target)
    other, _ = predictions(tmp_path, "other", task="redshift")
    with pytest.raises(InputError, match="predicts redshift without distributions"):
        app(["export", str(other), "--output", str(tmp_path / "x.hdf5")], standalone_mode=False)


def test_metrics_of_rail_have_intervals(tmp_path):
    paths = [predictions(tmp_path, name)[0] for name in ("henghes", "knn")]
    write_rail_table(paths, Evaluation(bootstrap_samples=200), tmp_path / "t.csv", tmp_path / "t.tex")
    table = pd.read_csv(tmp_path / "t.csv")
    for metric in ("median_bias", "sigma_iqr", "outliers_3sigma"):
        assert ((table[f"{metric}_low"] <= table[metric]) & (table[metric] <= table[f"{metric}_high"])).all()
    assert table.model.tolist() == ["henghes", "knn"]


def test_qp_s_file_has_its_layout(tmp_path):
    path, _ = predictions(tmp_path, "henghes")
    read = read_densities(path)
    write_qp(tmp_path / "pdf.hdf5", read.edges, read.masses, {"objid": read.objid, "zmode": read.target})
    with h5py.File(tmp_path / "pdf.hdf5") as file:
        assert file["meta/pdf_name"][()].tolist() == [b"hist"]
        assert file["meta/bins"].shape == (1, 81)
        np.testing.assert_array_equal(file["data/pdfs"], read.masses)
        np.testing.assert_array_equal(file["ancil/objid"], read.objid)
    with pytest.raises(ValueError, match="z has 2 values for 900"):
        write_qp(tmp_path / "x.hdf5", read.edges, read.masses, {"z": np.zeros(2)})
    assert not (tmp_path / "x.hdf5").exists()
