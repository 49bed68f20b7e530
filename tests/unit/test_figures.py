"""Figures: both files of each, the same bytes each time, and drawings that mean what they show."""

import contextlib
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from astromae.constants import BANDS
from astromae.errors import InputError
from astromae.evaluation.realism import sample_realism
from astromae.figures import (
    FIGURES,
    SAMPLES,
    density,
    residuals,
    sampling,
    scheme_autoencoder,
    scheme_inception,
    scheme_models,
    style,
)
from astromae.figures.composites import WEIGHTS, arcsinh_stretch, colour_composite
from astromae.figures.density import draw_density, local_density
from astromae.figures.labels import draw_labels
from astromae.figures.learning_rate import PUBLISHED, draw_learning_rate
from astromae.figures.loss_time import Run, _spread, draw_loss_time, read_run
from astromae.figures.losses import draw_finetuning, draw_pretraining
from astromae.figures.published import draw_published
from astromae.figures.realism import draw_realism
from astromae.figures.reconstructions import draw_reconstructions, hide
from astromae.figures.residuals import draw_residuals
from astromae.figures.sampling import choose_examples, sample_examples, sample_worst, write_magnitudes
from astromae.figures.scheme_autoencoder import draw_autoencoder
from astromae.figures.scheme_inception import draw_inception
from astromae.figures.scheme_models import draw_models
from astromae.figures.stamps import draw_stamps
from astromae.figures.worst import draw_worst
from astromae.tables import TABLES
from astromae.tables.metrics import write_table
from astromae.training.schedule import learning_rate
from evaluation_inputs import (
    FIRST_OBJID,
    SETTINGS,
    catalog_file,
    experiment_files,
    galaxy_images,
    history_file,
    json_file,
    networks_file,
    predictions_file,
    reconstructions_file,
    split_file,
    stamps_files,
    training_record,
)
from PIL import Image


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    made = {
        "predictions": experiment_files(folder, "experiment2", "table5", n=200),
        "histories": [history_file(folder / f"{number}.csv", number) for number in range(3)],
        "reconstructions": [reconstructions_file(folder / f"{number}.h5", number) for number in range(2)],
        "table": folder / "table5.csv",
        "catalog": catalog_file(folder / "galaxies.parquet"),
    }
    made["stamps"], made["missing"] = stamps_files(folder / "stamps")
    made["sample"] = folder / "samples/stamps.h5"
    sample_examples(made["catalog"], made["stamps"], made["sample"])
    write_table("table5", made["predictions"], SETTINGS, made["table"], folder / "table5.tex")
    more = experiment_files(folder / "more", "experiment1", "table5", classical=False, n=200, n_train=5000)
    write_table("table5", more, SETTINGS, folder / "more.csv", folder / "more.tex")
    made["more"] = folder / "more.csv"
    every = catalog_file(folder / "every.parquet", 250)
    split = split_file(folder / "split.parquet", {"test": 200, "val": 50}, first=FIRST_OBJID)
    made["magnitudes"] = folder / "samples/magnitudes.parquet"
    write_magnitudes(every, split, made["magnitudes"])
    made["realism"] = folder / "samples/realism.h5"
    sample_realism(made["stamps"], made["realism"])
    made["worst"] = folder / "samples/worst.h5"
    few = predictions_file(folder / "few", "e", "pcm-astromae", "pretrained", 0.03, n=50, n_val=5)
    sample_worst([few], made["stamps"], made["worst"])
    names = [("pcm", True), ("henghes", False), ("pcm-astromae", False)]
    made["provenance"] = [training_record(folder, "experiment2", name, pretraining) for name, pretraining in names]
    made["networks"] = networks_file(folder / "networks.json")
    return made


KINDS = {
    "learning-rate": lambda i, *out: draw_learning_rate(
        "finetuning", "experiment1", "updates", i["histories"][0], *out
    ),
    "pretraining": lambda i, *out: draw_pretraining(["plain", "pcm"], i["histories"][:2], "updates", "loss", *out),
    "finetuning": lambda i, *out: draw_finetuning(
        ["henghes", *["pcm-vit"] * 2], i["histories"], "epochs", "loss", *out
    ),
    "density": lambda i, *out: draw_density(i["predictions"], ["scratch", "pretrained"], *out),
    "published": lambda i, *out: draw_published(i["table"], *out),
    "reconstructions": lambda i, *out: draw_reconstructions(["plain", "pcm"], i["reconstructions"], *out),
    "stamps": lambda i, *out: draw_stamps(i["sample"], *out),
    "realism": lambda i, *out: draw_realism(i["realism"], None, *out),
    "residuals": lambda i, *out: draw_residuals(i["predictions"], i["magnitudes"], SETTINGS, *out),
    "worst": lambda i, *out: draw_worst(i["worst"], 32, *out),
    "labels": lambda i, *out: draw_labels([i["table"], i["more"]], *out),
    "loss-time": lambda i, *out: draw_loss_time(i["provenance"], i["histories"], "redshift", *out),
    "scheme-autoencoder": lambda i, *out: draw_autoencoder(i["networks"], ["plain", "pcm"], [0.75, 0.75], *out),
    "scheme-inception": lambda i, *out: draw_inception(i["networks"], *out),
    "scheme-models": lambda i, *out: draw_models(i["networks"], MODELS, *out),
}
MODELS = ["henghes", "pcm-vit", "plain-astromae", "scratch-pcm-vit-magnitude"]


@pytest.mark.parametrize("kind", KINDS)
def test_two_files_and_the_same_bytes_again(kind, inputs, tmp_path):
    files = tmp_path / "a.pdf", tmp_path / "a.png"
    again = tmp_path / "b.pdf", tmp_path / "b.png"
    KINDS[kind](inputs, *files)
    KINDS[kind](inputs, *again)
    for one, other in zip(files, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    pdf = files[0].read_bytes()
    assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf
    fonts = set(re.findall(rb"/BaseFont /(?:[A-Z]{6}\+)?(\w+)", pdf))
    assert fonts and all(name.startswith((b"STIX", b"DejaVu")) for name in fonts), fonts
    assert any(name.startswith(b"STIX") for name in fonts)
    image = Image.open(files[1]).convert("L")
    width_in = image.width / 200
    assert min(abs(width_in - style.ONE_COLUMN), abs(width_in - style.TWO_COLUMNS)) < 0.01
    ink = np.asarray(image) < 128
    assert 0.002 < ink.mean() < 0.9
    # nothing is cut off: the outermost pixels are paper
    border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    assert not border.any()


@contextlib.contextmanager
def captured(monkeypatch, module):
    """Let a figure be drawn, and keep it to be looked at."""
    kept = []

    @contextlib.contextmanager
    def keep(*arguments, **options):
        with style.drawing(*arguments, **options) as figure:
            yield figure
            kept.append(figure)

    monkeypatch.setattr(module, "drawing", keep)
    yield kept


def test_panels_of_one_experiment_share_range_and_colours(tmp_path, monkeypatch):
    paths = [
        predictions_file(tmp_path, "e", model, group, sigma, n=150)
        for model, group, sigma in [("a", "scratch", 0.05), ("b", "pretrained", 0.01), ("c", "pretrained", 0.02)]
    ]
    with captured(monkeypatch, density) as figures:
        draw_density(paths, ["scratch"], tmp_path / "1.pdf", tmp_path / "1.png")
        draw_density(paths, ["pretrained"], tmp_path / "2.pdf", tmp_path / "2.png")
    scales, ranges = set(), set()
    for figure in figures:
        *panels, bar = figure.axes
        assert "0.01" in bar.get_ylabel()
        for axes in panels:
            scales.add(axes.collections[0].get_clim())
            ranges.add((axes.get_xlim(), axes.get_ylim()))
            assert len(axes.collections[0].get_offsets()) == 150, "every galaxy is drawn"
    assert [len(figure.axes) for figure in figures] == [2, 3]
    assert len(scales) == len(ranges) == 1


def test_no_model_of_a_group(tmp_path, inputs):
    with pytest.raises(InputError, match="no model of the groups nobody; the predictions hold: classical, pretrained"):
        draw_density(inputs["predictions"], ["nobody"], tmp_path / "a.pdf", tmp_path / "a.png")


def test_density_counts_galaxies():
    """Evenly spread galaxies have the density that they were spread with."""
    rng = np.random.default_rng(0)
    limit, count = 0.4, 32_000  # 20 a cell of 0.01 by 0.01
    z_spec, z_pred = rng.uniform(0, limit, (2, count))
    inner = (np.abs(z_spec - 0.2) < 0.15) & (np.abs(z_pred - 0.2) < 0.15)
    values = local_density(z_spec, z_pred, limit)[inner]
    assert values.mean() == pytest.approx(20, rel=0.03)
    lonely = local_density(np.array([0.1]), np.array([0.3]), limit)
    assert lonely[0] == pytest.approx(1 / (2 * np.pi), rel=0.1)


def test_published_schedules_are_those_of_the_figures():
    def rates(key):
        _, base, schedule, epochs = PUBLISHED[key]
        return np.array([learning_rate(base, schedule, epochs, epoch) for epoch in range(epochs)])

    figure4 = rates(("pretraining", "experiment1"))
    assert len(figure4) == 2000 and figure4.argmax() == 195 and figure4.max() == pytest.approx(1.172e-3, abs=5e-7)
    figure5 = rates(("finetuning", "experiment1"))
    assert len(figure5) == 700 and (figure5[::10] == 1e-4).all() and figure5[1] == pytest.approx(0.995e-4)
    figure8 = rates(("finetuning", "experiment2"))
    assert figure8.argmax() == 35 and figure8.max() == pytest.approx(7.2e-5, abs=1e-6)
    assert figure8[0] == pytest.approx(2e-6)


def test_masked_patches_are_hidden_where_they_are():
    masked = np.zeros(16, dtype=bool)
    masked[[1, 4]] = True  # first row, second patch; second row, first patch
    shown = hide(np.zeros((32, 32, 3)), masked)[..., 0] > 0
    assert shown[:8, 8:16].all() and shown[8:16, :8].all() and shown.sum() == 2 * 64


def test_reconstructions_of_different_masks_are_not_set_side_by_side(tmp_path):
    files = [reconstructions_file(tmp_path / "a.h5", n=6), reconstructions_file(tmp_path / "b.h5", n=5)]
    with pytest.raises(InputError, match=r"b\.h5: other galaxies or masks than"):
        draw_reconstructions(["plain", "pcm"], files, tmp_path / "a.pdf", tmp_path / "a.png")
    with pytest.raises(InputError, match="1 names of encoders for 2 files"):
        draw_reconstructions(["plain"], files, tmp_path / "a.pdf", tmp_path / "a.png")


def test_a_composite_keeps_colour_and_range():
    image = galaxy_images(1, 32)[0]
    picture = colour_composite(image, BANDS, 0.02)
    assert picture.shape == (32, 32, 3) and picture.min() >= 0 and picture.max() <= 1
    # Lupton's mapping keeps ratios, here those of the weighted fluxes in i, r and g
    flux = image[[BANDS.index(band) for band in "irg"], 16, 16] * WEIGHTS
    np.testing.assert_allclose(picture[16, 16] / picture[16, 16, 0], flux / flux[0], rtol=1e-6)


def test_a_stretch_keeps_the_order_of_pixels():
    image = galaxy_images(1, 32)[0, 2]
    stretched = arcsinh_stretch(image)
    order = np.argsort(image, axis=None)
    assert (np.diff(stretched.ravel()[order]) >= 0).all() and stretched.max() == 1


def test_examples_span_the_redshifts(inputs):
    catalog = pd.read_parquet(inputs["catalog"])
    examples = choose_examples(catalog, "mag_r")
    assert len(examples) == sampling.EXAMPLES and examples["z"].is_monotonic_increasing
    parts = np.array_split(np.sort(catalog["z"]), sampling.EXAMPLES)
    for z, part in zip(examples["z"], parts, strict=True):
        assert part[0] <= z <= part[-1]


def test_a_galaxy_without_a_stamp_is_no_example(inputs, tmp_path):
    frame = pd.read_parquet(inputs["catalog"])
    frame["objid"] += 10**6
    frame.to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="none of its galaxies has a stamp"):
        sample_examples(tmp_path / "other.parquet", inputs["stamps"], tmp_path / "a.h5")


def test_a_history_that_is_none(tmp_path):
    (tmp_path / "h.csv").write_text("epoch,loss\n0,1\n")
    with pytest.raises(InputError, match=r"h\.csv: a history needs at least one row and the columns update, epoch"):
        draw_learning_rate(
            "pretraining", "experiment1", "epochs", tmp_path / "h.csv", tmp_path / "a.pdf", tmp_path / "a.png"
        )


def texts(figure):
    """Return all that is written in a scheme."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_schemes_show_the_shapes_of_the_networks(inputs, tmp_path, monkeypatch):
    out = tmp_path / "a.pdf", tmp_path / "a.png"
    with captured(monkeypatch, scheme_autoencoder) as figures:
        draw_autoencoder(inputs["networks"], ["plain", "pcm"], [0.75, 0.75], *out)
    written = texts(figures[0])
    # 4 of 16 patches of 8 x 8 x 5 values go into an encoder of width 192; 12 come back
    assert {"4×320", "4×192", "16×192", "12×320"} <= set(written)
    assert "encoder\n12 blocks\n3 heads" in written and "decoder\n4 blocks\n3 heads" in written
    with captured(monkeypatch, scheme_inception) as figures:
        draw_inception(inputs["networks"], *out)
    assert {"5×32×32", "64×16×16", "12×4×4", "192\nfeatures"} <= set(texts(figures[0]))
    assert "conv 5×5: 16, 16, 8, 8, none" in texts(figures[0])
    with captured(monkeypatch, scheme_models) as figures:
        draw_models(inputs["networks"], MODELS, *out)
    written = texts(figures[0])
    assert {"Henghes et al. 2022", "plain-AstroMAE", "15.80 M, 10.40 M trained", "3216\n1024"} <= set(written)
    assert written.count("Inception\n0.03 M") == 2


def test_encoders_of_other_shapes_have_a_pipeline_of_their_own(inputs, tmp_path, monkeypatch):
    """Twice the patches on a side for one encoder, and two masked fractions for the other."""
    out = tmp_path / "a.pdf", tmp_path / "a.png"
    described = json.loads(inputs["networks"].read_text())
    pcm = next(row for row in described["autoencoders"] if row["name"] == "pcm")
    pcm |= {"patch": 4, "tokens": 64, "values": 80, "depth": 6}
    networks = json_file(tmp_path / "networks.json", described)
    with captured(monkeypatch, scheme_autoencoder) as figures:
        draw_autoencoder(networks, ["plain", "pcm", "plain"], [0.75, 0.75, 0.5], *out)
    written = texts(figures[0])
    assert {"4×320", "12×320", "16×80", "48×80", "8×320"} <= set(written)
    assert written.count("encoder\n12 blocks\n3 heads") == 2 and written.count("encoder\n6 blocks\n3 heads") == 1
    assert [text.partition(":")[0] for text in written if text.endswith(" M") and ":" in text] == [
        "plain",
        "pcm",
        "plain",
    ]
    assert [text for text in written if text.startswith("block of the")] == [
        f"block of the\n{name} encoder" for name in ("plain", "pcm")
    ]
    with pytest.raises(InputError, match="2 names of encoders for 1 masked fractions"):
        draw_autoencoder(networks, ["plain", "pcm"], [0.75], *out)


def test_a_scheme_of_an_unknown_network(inputs, tmp_path):
    out = tmp_path / "a.pdf", tmp_path / "a.png"
    with pytest.raises(InputError, match=r"networks\.json: describes no model vit-huge"):
        draw_models(inputs["networks"], ["vit-huge"], *out)
    with pytest.raises(InputError, match=r"networks\.json: describes no autoencoder huge"):
        draw_autoencoder(inputs["networks"], ["huge"], [0.75], *out)


def test_residuals_show_one_model_of_each_group(inputs, tmp_path, monkeypatch):
    with captured(monkeypatch, residuals) as figures:
        draw_residuals(inputs["predictions"], inputs["magnitudes"], SETTINGS, tmp_path / "a.pdf", tmp_path / "a.png")
    (figure,) = figures
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["Henghes et al. 2022", "pcm-AstroMAE", "boosted trees on magnitudes"]
    grid = np.reshape(figure.axes, (3, 4))
    for row in grid:
        assert len({axes.get_ylim() for axes in row}) == 1, "panels of a row are compared"
    for axes in grid[-1]:
        assert sum(int(text.get_text()) for text in axes.texts) == 200, "every test galaxy is in a bin"


def test_time_passes_evenly_over_updates(inputs):
    run = read_run(inputs["provenance"][1], inputs["histories"][1])
    np.testing.assert_allclose(run.seconds, 61.5 * np.arange(1, 13) / 12)
    assert (run.name, run.kind) == ("Henghes et al. 2022", "none")


def test_names_of_curves_do_not_overlap():
    runs = [Run("", "none", np.array([1.0]), np.array([loss])) for loss in (1.0, 1.001, 1.002, 5.0, 9.9)]
    places = _spread(runs, np.log(1.0), np.log(10.0))
    assert (np.diff(places) > 0.06).all() and places[0] >= 0 and places[-1] <= 1


def test_labels_need_a_model_with_two_numbers_of_them(inputs, tmp_path):
    with pytest.raises(InputError, match="no model was trained on two numbers of labels"):
        draw_labels([inputs["table"]], tmp_path / "a.pdf", tmp_path / "a.png")


def test_a_sample_of_no_mistakes(inputs, tmp_path):
    with pytest.raises(InputError, match=r"stamps\.h5: a sample without z_pred, z_spec"):
        draw_worst(inputs["sample"], 32, tmp_path / "a.pdf", tmp_path / "a.png")


def test_no_figure_or_table_needs_torch():
    makers = [product.make.partition(":")[0] for table in (FIGURES, SAMPLES, TABLES) for product in table.values()]
    assert len(makers) > 20 and all(maker.startswith("astromae.") for maker in makers)
    code = "import sys; " + "; ".join(f"import {maker}" for maker in makers)
    subprocess.run([sys.executable, "-c", code + "; assert 'torch' not in sys.modules"], check=True)


def test_what_there_is_to_draw_is_known_without_drawing():
    """Snakemake's own process reads the tables for every plan and every job."""
    code = (
        "import sys; from astromae.figures import FIGURES, SAMPLES; from astromae.tables import TABLES; "
        "[dict(table) for table in (FIGURES, SAMPLES, TABLES)]; "
        "assert not {'matplotlib', 'pandas', 'h5py', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
