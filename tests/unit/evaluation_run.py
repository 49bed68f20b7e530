"""A synthetic run as far as the paper and the results page read it."""

from astromae.documents.values_experiment import write_experiment_values
from astromae.documents.values_survey import write_survey_values
from astromae.evaluation.realism import sample_realism, write_realism_table
from astromae.figures.density import draw_density
from astromae.figures.learning_rate import draw_learning_rate
from astromae.figures.loss_time import draw_loss_time
from astromae.figures.losses import draw_pretraining
from astromae.figures.reconstructions import draw_reconstructions
from astromae.figures.sampling import sample_examples
from astromae.figures.scheme_autoencoder import draw_autoencoder
from astromae.figures.scheme_inception import draw_inception
from astromae.figures.scheme_models import draw_models
from astromae.figures.stamps import draw_stamps
from astromae.tables.costs import write_cost_table
from astromae.tables.metrics import write_table
from evaluation_inputs import (
    EXPERIMENT,
    SETTINGS,
    catalog_file,
    experiment_files,
    history_file,
    models_file,
    networks_file,
    predictions_file,
    reconstructions_file,
    split_file,
    stamps_files,
    training_record,
)


def write_run(folder):
    """Write values, tables and some figures of a run of both experiments into a folder, and say where they are."""
    figures = folder / "figures"

    def out(name):
        return figures / f"{name}.pdf", figures / f"{name}.png"

    stamps, missing = stamps_files(folder / "stamps")
    catalog = catalog_file(folder / "galaxies.parquet")
    values = [folder / "values" / "survey.json"]
    write_survey_values(catalog, stamps, missing, "an embedded survey", True, values[0])
    sample_examples(catalog, stamps, folder / "sample.h5")
    draw_stamps(folder / "sample.h5", *out("stamps"))
    sample_realism(stamps, folder / "realism.h5")
    write_realism_table(folder / "realism.h5", folder / "realism.csv", folder / "realism.tex")
    networks = networks_file(folder / "networks.json")
    second = EXPERIMENT | {"title": "Experiment 2", "table": "table5", "pretrain_on": ["train", "test"]}
    # configurations are merged, so that keys of the other kind of schedule may be left
    steps = {"kind": "paper_steps", "decay": 0.995, "restart_every": 10, "warmup": 1}
    second["finetuning"] = second["finetuning"] | {"schedule": steps}
    for name, settings in (("experiment1", EXPERIMENT), ("experiment2", second)):
        table = settings["table"]
        predictions = experiment_files(folder, name, table, classical=table == "table4", n=150)
        if table == "table4":
            for model, group, sigma in (("random-plain-vit", "random", 0.022), ("local-linear", "classical", 0.012)):
                predictions.append(predictions_file(folder, name, model, group, sigma, n=150))
        write_table(table, predictions, SETTINGS, folder / f"{table}.csv", folder / f"{table}.tex")
        records = [training_record(folder / "records", name, encoder, True) for encoder in ("plain", "pcm")]
        titles = {name: settings["title"]}
        write_cost_table(records, networks, titles, folder / f"{name}-cost.csv", folder / f"{name}-cost.tex")
        values.append(folder / "values" / f"{name}.json")
        write_experiment_values(
            name,
            settings,
            SETTINGS,
            split_file(folder / f"{name}.parquet", {"pretrain": 1200, "train": 700, "val": 50, "test": 150}),
            folder / f"{table}.csv",
            models_file(folder / "models.json"),
            folder / f"{name}-cost.csv",
            predictions,
            records,
            values[-1],
        )
    history = history_file(folder / "history.csv")
    draw_learning_rate("pretraining", "experiment1", "epochs", history, *out("learning-rate-pretraining-experiment1"))
    draw_pretraining(["plain"], [history], "epochs", "loss", *out("pretraining-experiment1"))
    reconstructions = reconstructions_file(folder / "reconstructions.h5")
    draw_reconstructions(["plain"], [reconstructions], *out("reconstructions-experiment1"))
    draw_density(predictions, None, *out("density-experiment2"))
    draw_autoencoder(networks, ["plain", "pcm"], [0.75, 0.75], *out("scheme-autoencoder"))
    draw_inception(networks, *out("scheme-inception"))
    draw_models(networks, ["henghes", "pcm-astromae"], *out("scheme-models"))
    draw_loss_time(records, [history, history], "redshift", *out("loss-time-experiment2"))
    return {
        "values": values,
        "figures": sorted(figures.glob("*.pdf")),
        "tables": [folder / "realism.csv"],
        "catalog": catalog,
        "stamps": stamps,
        "missing": missing,
    }
