"""Label curves: their file, their tables, and the labels that a way to learn saves."""

import numpy as np
import pandas as pd
import pytest
from astromae.contracts.label_curves import LabelCurve, read_label_curves, write_label_curve
from astromae.errors import InputError
from astromae.evaluation.label_curves import CurveScores, labels_needed, labels_saved, score_curves
from astromae.figures.label_curves import draw_label_curves
from astromae.settings.evaluation import Evaluation
from astromae.settings.studies import label_counts
from astromae.tables.label_curves import read_error_table, write_label_tables
from astromae.tasks.redshift import dispersion, normalised_error
from astromae.training.subsets import drawn_part, labelled_order

LABELS = np.array([50, 100, 200, 400])
SETTINGS = Evaluation(bootstrap_samples=50)
GALAXIES = 300


def about(objective="mae", network="vit", frozen=False, study="rivals"):
    return {"study": study, "objective": objective, "network": network, "frozen": frozen, "task": "redshift"}


def predictions(error, seed, labels=LABELS, galaxies=GALAXIES):
    """Predictions whose dispersion after n labels is about `error(n)`."""
    objid = 10**18 + np.arange(galaxies)
    z = np.linspace(0.02, 0.3, galaxies)
    random = np.random.default_rng(seed)
    frames = [
        pd.DataFrame(
            {
                "objid": objid,
                "z_spec": z,
                "z_pred": z + (1 + z) * error(n) * random.standard_normal(galaxies),
                "n_labels": n,
            }
        )
        for n in labels
    ]
    return pd.concat(frames).sample(frac=1, random_state=seed)


def write_study(folder, **errors):
    """Write the label curves of some ways to learn with seeds 1 to 3, and return their paths."""
    paths = []
    for name, error in errors.items():
        objective, network, frozen = name.split("__")
        for seed in (1, 2, 3):
            path = folder / f"{name}-{seed}.parquet"
            told = about(objective.replace("_", "-"), network.replace("none", ""), frozen == "frozen")
            write_label_curve(path, predictions(error, seed * 100 + len(paths)), told, seed)
            paths.append(path)
    return paths


def power(at_50, slope=-0.5):
    return lambda n: at_50 * (n / 50) ** slope


@pytest.fixture
def study(tmp_path):
    return write_study(
        tmp_path,
        mae__vit__unfrozen=power(0.02),
        mae__vit__frozen=power(0.03),
        supervised__vit__unfrozen=power(0.04),
        random__vit__frozen=power(0.06),
        local_linear__none__unfrozen=power(0.015, 0),
    )


def test_fewer_labels_are_part_of_more_and_the_same_for_all():
    orders = [labelled_order(np.zeros((320, 2)), seed) for seed in (1, 1, 2)]
    assert np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[0], orders[2])
    assert np.array_equal(np.sort(orders[0]), np.arange(320))
    counts = label_counts(320, [1 / 32, 1 / 4, 1])
    assert counts == [10, 80, 320]
    parts = [set(orders[0][:count]) for count in counts]
    assert parts[0] < parts[1] < parts[2]


def test_who_has_no_label_gets_none():
    labels = np.zeros((320, 2))
    labels[::3], labels[1::3, 0] = np.nan, np.nan
    order = labelled_order(labels, 1)
    assert np.array_equal(order, [place for place in labelled_order(np.zeros((320, 2)), 1) if place % 3])


def test_a_smaller_part_of_the_galaxies_is_part_of_a_larger():
    objid = np.sort(np.random.default_rng(0).choice(10**6, 320, replace=False))
    few, more = drawn_part(objid, 0.01, 1), drawn_part(objid, 0.5, 1)
    assert (len(few), len(more)) == (3, 160) and set(few) < set(more) < set(objid)
    assert (np.diff(more) > 0).all() and np.array_equal(more, drawn_part(objid, 0.5, 1))
    assert not np.array_equal(more, drawn_part(objid, 0.5, 2))
    assert np.array_equal(drawn_part(objid, 1.0, 1), objid) and len(drawn_part(objid, 1e-9, 1)) == 1


def test_there_is_at_least_one_label_and_no_number_twice():
    assert label_counts(20, [1 / 64, 1 / 32, 1 / 16, 1]) == [1, 20]


def test_a_file_says_what_was_predicted_after_each_number_of_labels(study):
    curves = read_label_curves(study)
    assert (curves.study, curves.task, curves.seeds) == ("rivals", "redshift", (1, 2, 3))
    assert curves.labels.tolist() == LABELS.tolist()
    assert [(way.objective, way.network, way.frozen) for way in curves.curves] == [
        ("mae", "vit", False),
        ("mae", "vit", True),
        ("supervised", "vit", False),
        ("random", "vit", True),
        ("local-linear", "", False),
    ]
    table = pd.read_parquet(study[1]).sort_values(["n_labels", "objid"])
    own = curves.curves[0].predicted["z_pred"]
    assert own.shape == (4, 3, GALAXIES)
    assert np.array_equal(own[2, 1], table.z_pred[table.n_labels == 200])
    assert np.array_equal(curves.targets["z_spec"], table.z_spec[table.n_labels == 50])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns="z_pred"), "has no column z_pred"),
        (lambda table: table[table.n_labels > 50], r"after \[100, 200, 400\] labels, but .* after \[50,"),
        (lambda table: table.iloc[1:], "not one row for each of 300 galaxies and 4 numbers of labels"),
        (lambda table: table[table.objid > table.objid.min()], "other galaxies than"),
        (lambda table: table.assign(z_spec=table.z_spec + 0.1), "other z_spec than"),
    ],
)
def test_files_of_a_study_are_about_the_same(study, change, words):
    from astromae.contracts.tables import read_metadata, write_table

    write_table(study[-1], change(pd.read_parquet(study[-1])), read_metadata(study[-1], "label curve"))
    with pytest.raises(InputError, match=rf"{study[-1]}: .*{words}"):
        read_label_curves(study)


def test_every_way_to_learn_has_every_seed_once(study, tmp_path):
    with pytest.raises(InputError, match="no label curve of mae vit with seed 1, which others have"):
        read_label_curves(study[1:])
    with pytest.raises(InputError, match="mae vit with seed 1 was given before"):
        read_label_curves([*study, study[0]])
    write_label_curve(tmp_path / "other.parquet", predictions(power(1), 1), about(study="stars"), 1)
    with pytest.raises(InputError, match=r"of study stars, but .* is of rivals"):
        read_label_curves([*study, tmp_path / "other.parquet"])
    with pytest.raises(InputError, match="at least one"):
        read_label_curves([])


def test_predictions_that_are_not_finite_are_refused(tmp_path):
    table = predictions(power(0.02), 1)
    table.loc[(table.n_labels == 100) & (table.objid == 10**18 + 7), "z_pred"] = np.nan
    with pytest.raises(InputError, match=r"mae vit: predictions after 100 labels that are not finite, objid \[10+7\]"):
        write_label_curve(tmp_path / "curve.parquet", table, about(), 1)


def test_the_table_of_errors(study, tmp_path):
    write_label_tables(study, SETTINGS, tmp_path / "errors.csv", tmp_path / "saved.csv")
    table = read_error_table(tmp_path / "errors.csv")
    assert list(table.columns) == [
        *("objective", "network", "frozen", "n_labels", "n_seeds", "nmad", "nmad_low", "nmad_high", "outliers", "r2")
    ]
    assert len(table) == 5 * 4 and table.frozen.dtype == bool and (table.n_seeds == 3).all()
    assert (table.network[table.objective == "local-linear"] == "none").all()
    assert ((table.nmad_low < table.nmad) & (table.nmad < table.nmad_high)).all()
    row = table[(table.objective == "mae") & ~table.frozen & (table.n_labels == 100)].iloc[0]
    by_seed = []
    for path in study[:3]:
        own = pd.read_parquet(path).query("n_labels == 100")
        by_seed.append(dispersion(normalised_error(own.z_spec.to_numpy(), own.z_pred.to_numpy())))
    assert row.nmad == pytest.approx(np.mean(by_seed), rel=1e-6)
    before = (tmp_path / "errors.csv").read_bytes()
    write_label_tables(study[::-1], SETTINGS, tmp_path / "again.csv", tmp_path / "saved.csv")
    order = ["objective", "frozen", "n_labels"]
    one, other = (pd.read_csv(tmp_path / f"{name}.csv").sort_values(order) for name in ("errors", "again"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), rtol=1e-6)
    write_label_tables(study, SETTINGS, tmp_path / "errors.csv", tmp_path / "saved.csv")
    assert (tmp_path / "errors.csv").read_bytes() == before


def test_the_table_of_labels_saved(study, tmp_path):
    """Errors fall as the root of the labels: half the error saves a factor of four."""
    write_label_tables(study, SETTINGS, tmp_path / "errors.csv", tmp_path / "saved.csv")
    saved = pd.read_csv(tmp_path / "saved.csv", keep_default_na=False)
    assert set(saved.objective) == {"mae", "random"}, "nothing is compared with itself, nor without a network"
    own = saved[(saved.objective == "mae") & ~saved.frozen]
    row = own[own.n_labels == 50].iloc[0]
    assert row.factor_low < 4 < row.factor_high and row.bound == ""
    assert row.supervised_labels / 50 == pytest.approx(row.factor)
    most = own[own.n_labels == 400].iloc[0]
    assert (most.factor, most.bound) == (1, "at least")
    bad = saved[(saved.objective == "random") & (saved.n_labels == 50)].iloc[0]
    assert (bad.factor, bad.bound) == (1, "at most")


def test_labels_needed_of_known_curves():
    reference = 0.04 * (LABELS / 50.0) ** -0.5
    errors = 0.04 * (np.array([50, 70, 150, 399, 400, 401, 49]) / 50.0) ** -0.5
    needed, bound = labels_needed(errors, LABELS, np.broadcast_to(reference, (7, 4)))
    assert needed == pytest.approx([50, 70, 150, 399, 400, 400, 50])
    # An error that is reached to the last bit at an end of the curve is no more than a bound there.
    assert bound[1:4].tolist() == [0, 0, 0] and bound[5:].tolist() == [1, -1]


def test_a_reference_that_gets_worse_with_more_labels_does_as_well_as_with_fewer():
    needed, bound = labels_needed(np.array([0.025, 0.02, 0.01]), LABELS, np.array([[0.04, 0.02, 0.03, 0.015]] * 3))
    between = 50 * 2 ** (np.log(0.04 / 0.025) / np.log(2))
    assert needed == pytest.approx([between, 100, 400])
    assert bound.tolist() == [0, 0, 1]


def test_one_number_of_labels_gives_bounds_only():
    needed, bound = labels_needed(np.array([0.01, 0.05]), np.array([50]), np.array([[0.02], [0.02]]))
    assert needed == pytest.approx([50, 50]) and bound.tolist() == [1, -1]


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_of_labels_saved_holds_the_truth_as_often_as_it_says(seeds):
    """Curves whose logarithm scatters from seed to seed and with the test galaxies, by a known amount."""
    random, held, trials, widths = np.random.default_rng(5), 0, 400, []
    truth = [0.5 * np.log(LABELS[:, None] / 50.0) * -1 + np.log(at) for at in (0.02, 0.03)]
    settings = Evaluation(bootstrap_samples=300)

    def scores(true, shared):
        own = 0.05 * random.standard_normal((len(LABELS), seeds))
        curve = true + own + shared
        resampled = curve[..., None] + 0.03 * random.standard_normal(300)
        return CurveScores(LabelCurve("", "", False, {}), {"nmad": np.exp(curve)}, {"nmad": np.exp(resampled)}, 0.95)

    for _ in range(trials):
        shared = 0.03 * random.standard_normal()
        saved = labels_saved(LABELS, scores(truth[0], shared), scores(truth[1], shared), "nmad", settings)
        held += saved.low[0] <= (0.03 / 0.02) ** 2 <= saved.high[0]
        widths.append(np.log(saved.high[0] / saved.low[0]))
    assert held / trials >= 0.93
    # The whole curve would hold it always. With two seeds, Student's t is wider than that.
    assert seeds == 2 or np.median(widths) < np.log(LABELS[-1] / LABELS[0]) / 2


def test_more_galaxies_and_seeds_make_the_interval_narrower(tmp_path):
    def width(galaxies, seeds):
        random = np.random.default_rng(1)
        folder = tmp_path / f"{galaxies}-{seeds}"
        folder.mkdir()
        paths = []
        for seed in range(seeds):
            for objective, at in (("mae", 0.02), ("supervised", 0.03)):
                error = power(at * np.exp(0.05 * random.standard_normal()))
                paths.append(folder / f"{objective}{seed}.parquet")
                write_label_curve(paths[-1], predictions(error, seed, galaxies=galaxies), about(objective), seed)
        curves = read_label_curves(paths)
        way, reference = score_curves(curves, SETTINGS)
        saved = labels_saved(curves.labels, way, reference, "nmad", SETTINGS)
        return np.log(saved.high[0] / saved.low[0])

    assert width(2000, 5) < width(2000, 2)
    assert width(2000, 1) < width(100, 1)


def test_the_figure(study, tmp_path):
    write_label_tables(study, SETTINGS, tmp_path / "errors.csv", tmp_path / "saved.csv")
    for name in ("one", "two"):
        draw_label_curves(tmp_path / "errors.csv", "redshift", tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    assert (tmp_path / "one.png").stat().st_size > 10_000
    (tmp_path / "bad.csv").write_text("objective,network\n")
    with pytest.raises(InputError, match="no frozen, n_labels, n_seeds"):
        draw_label_curves(tmp_path / "bad.csv", "redshift", tmp_path / "x.pdf", tmp_path / "x.png")
