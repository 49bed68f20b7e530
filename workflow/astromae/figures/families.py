"""Which figures and samples a run has, and what each is made from.

Density, residuals, worst galaxies, published values and numbers of labels are shown of redshifts only.
"""

from astromae.products import Product
from astromae.run import Run
from astromae.tasks import Task, task_of

#: More models than this do not fit on a page of densities.
DENSITY_PANELS = 8

# Descriptions of all networks of the configuration.
_NETWORKS = {"networks": "results/tables/networks.json"}


def _each(*experiments: str) -> list[dict[str, str]]:
    return [{"experiment": name} for name in experiments]


def _if_embedded(run: Run) -> list[dict[str, str]]:
    return [{}] if run.survey == "embedded" else []


# --- the survey ---

STAMPS = Product(
    "stamps", "astromae.figures.stamps:draw_stamps", inputs=lambda run: {"sample": "results/samples/stamps.h5"}
)

STAMPS_SAMPLE = Product(
    "stamps.h5",
    "astromae.figures.sampling:sample_examples",
    inputs=lambda run: {"catalog": run.catalog, "stamps": run.stamps},
)

REALISM = Product(
    "realism",
    "astromae.figures.realism:draw_realism",
    inputs=lambda run: {"sample": "results/samples/realism.h5"},
    # A bundle holds the measurements of real stamps, not the person's folder with their pixels.
    settings=lambda run: {
        "real_stamps": None if run.configuration.bundle else run.configuration.embedded.real_stamps,
    },
    members=_if_embedded,
)

REALISM_SAMPLE = Product(
    "realism.h5",
    "astromae.evaluation.realism:sample_realism",
    inputs=lambda run: {"stamps": run.stamps},
    members=_if_embedded,
)

# --- networks ---


def masked_encoders(run: Run) -> dict[str, list]:
    """Return each encoder of a masked autoencoder with each fraction of the patches that is hidden from it."""
    pairs = dict.fromkeys(
        (encoder, run.experiments[name].pretraining.mask_ratio)
        for name in run.with_objective("mae")
        for encoder in run.encoders(name)
    )
    return {"encoders": [encoder for encoder, _ in pairs], "mask_ratios": [ratio for _, ratio in pairs]}


SCHEME_AUTOENCODER = Product(
    "scheme-autoencoder",
    "astromae.figures.scheme_autoencoder:draw_autoencoder",
    inputs=lambda run: _NETWORKS,
    settings=masked_encoders,
    members=lambda run: [{}] if run.with_objective("mae") else [],
)

SCHEME_INCEPTION = Product(
    "scheme-inception",
    "astromae.figures.scheme_inception:draw_inception",
    inputs=lambda run: _NETWORKS,
    members=lambda run: [{}] if any(run.configuration.models[name].inception for name in run.used_models) else [],
)

SCHEME_MODELS = Product(
    "scheme-models",
    "astromae.figures.scheme_models:draw_models",
    inputs=lambda run: _NETWORKS,
    settings=lambda run: {"models": run.used_models},
)

# --- results ---


def shares_models(run: Run) -> bool:
    """Return whether some model is trained on two numbers of labels."""
    fractions: dict[str, set[float]] = {}
    for experiment in run.with_task("redshift"):
        settings = run.experiments[experiment]
        for name in settings.models:
            fractions.setdefault(name, set()).add(settings.fractions.train)
    return any(len(different) > 1 for different in fractions.values())


LABELS = Product(
    "labels",
    "astromae.figures.labels:draw_labels",
    inputs=lambda run: {
        "tables": [f"results/tables/{run.experiments[name].table}.csv" for name in run.with_task("redshift")]
    },
    members=lambda run: [{}] if shares_models(run) else [],
)


def density_parts(run: Run) -> dict[str, tuple[str, list[str]]]:
    """Return the experiment of each density figure and the groups of models in it, as the paper divides them.

    An experiment with more than `DENSITY_PANELS` models has a figure of those from scratch, one of those with a
    pretrained encoder, and one of all others; any other experiment has one figure of all groups, which is what an
    empty list stands for.
    """
    parts = {}
    for name in run.with_task("redshift"):
        settings = run.experiments[name]
        groups = {run.configuration.models[model].group for model in settings.models}
        few = len(settings.models) + len(settings.classical) <= DENSITY_PANELS
        if few or not groups >= {"scratch", "pretrained"}:
            parts[name] = name, []
        else:
            parts[f"{name}-scratch"] = name, ["scratch"]
            parts[f"{name}-pretrained"] = name, ["pretrained"]
            if settings.classical or "random" in groups:
                parts[f"{name}-baselines"] = name, ["random", "classical"]
    return parts


DENSITY = Product(
    "density-{part}",
    "astromae.figures.density:draw_density",
    inputs=lambda run, experiment, part: {"predictions": run.predictions(experiment)},
    settings=lambda run, experiment, part: {"groups": density_parts(run)[part][1]},
    members=lambda run: [
        {"experiment": experiment, "part": part} for part, (experiment, _) in density_parts(run).items()
    ],
)

PUBLISHED = Product(
    "published-{table}",
    "astromae.figures.published:draw_published",
    inputs=lambda run, experiment, table: {"table": f"results/tables/{table}.csv"},
    members=lambda run: [
        {"experiment": name, "table": run.experiments[name].table} for name in run.with_task("redshift")
    ],
)

RESIDUALS = Product(
    "residuals-{experiment}",
    "astromae.figures.residuals:draw_residuals",
    inputs=lambda run, experiment: {
        "predictions": run.predictions(experiment),
        "magnitudes": f"results/samples/magnitudes-{experiment}.parquet",
    },
    settings=lambda run, experiment: {"settings": run.configuration.evaluation},
    members=lambda run: _each(*run.with_task("redshift")),
)

MAGNITUDES_SAMPLE = Product(
    "magnitudes-{experiment}.parquet",
    "astromae.figures.sampling:write_magnitudes",
    inputs=lambda run, experiment: {"catalog": run.catalog, "split": f"results/splits/{experiment}.parquet"},
    members=RESIDUALS.members,
)

PIT = Product(
    "pit-{experiment}",
    "astromae.figures.pit:draw_pit",
    inputs=lambda run, experiment: {"predictions": run.predictions(experiment)},
    members=lambda run: _each(*run.with_density()),
)

NZ = Product(
    "nz-{experiment}",
    "astromae.figures.pit:draw_nz",
    inputs=PIT.inputs,
    members=PIT.members,
)

ROC = Product(
    "roc-{experiment}",
    "astromae.figures.roc:draw_roc",
    inputs=lambda run, experiment: {"predictions": run.predictions(experiment)},
    settings=lambda run, experiment: {"subset": run.configuration.evaluation.subset},
    members=lambda run: _each(*run.with_task("morphology")),
)

WORST = Product(
    "worst-{experiment}",
    "astromae.figures.worst:draw_worst",
    inputs=lambda run, experiment: {"sample": f"results/samples/worst-{experiment}.h5"},
    settings=lambda run, experiment: {"crop": run.configuration.scaling.crop},
    members=lambda run: _each(*(name for name in run.with_task("redshift") if run.astromae_models(name))),
)

WORST_SAMPLE = Product(
    "worst-{experiment}.h5",
    "astromae.figures.sampling:sample_worst",
    inputs=lambda run, experiment: {
        "stamps": run.stamps,
        "predictions": run.predictions(experiment, run.astromae_models(experiment)),
    },
    members=WORST.members,
)

# --- look-alikes ---

FEATURES_SAMPLE = Product(
    "features-{experiment}.h5",
    "astromae.evaluation.feature_sample:sample_features",
    inputs=lambda run, experiment: {
        "features": [
            f"results/encoders/{encoder}/{experiment}/seed{seed}/features.h5"
            for encoder in run.shared_encoders(experiment)
            for seed in run.configuration.seeds
        ],
        "catalog": run.catalog,
    },
    settings=lambda run, experiment: {
        "encoders": [encoder for encoder in run.shared_encoders(experiment) for _ in run.configuration.seeds],
        "subset": run.configuration.evaluation.subset,
        "seed": run.configuration.evaluation.seed,
    },
    members=lambda run: _each(*run.with_features()),
)


def shown_encoder(run: Run, experiment: str) -> str:
    """Return the encoder whose look-alikes are shown: that of the last AstroMAE model that reads its features."""
    of_models = [run.configuration.models[name].encoder for name in run.astromae_models(experiment)]
    shared = run.shared_encoders(experiment)
    return next((encoder for encoder in reversed(of_models) if encoder in shared), shared[-1])


LOOK_ALIKES_SAMPLE = Product(
    "look-alikes.json",
    "astromae.figures.look_alikes:write_look_alikes",
    inputs=lambda run: {"sample": f"results/samples/features-{run.with_features()[0]}.h5", "stamps": run.stamps},
    settings=lambda run: {
        "experiment": run.with_features()[0],
        "encoder": shown_encoder(run, run.with_features()[0]),
        "crop": run.configuration.scaling.crop,
        "seed": run.configuration.evaluation.seed,
    },
    members=lambda run: [{}] if run.with_features() else [],
)

# --- trainings ---

RECONSTRUCTIONS = Product(
    "reconstructions-{experiment}",
    "astromae.figures.reconstructions:draw_reconstructions",
    inputs=lambda run, experiment: {
        "reconstructions": [
            f"{folder}/reconstructions.h5" for folder in run.encoder_folders(experiment, run.configuration.seeds[:1])
        ]
    },
    settings=lambda run, experiment: {"encoders": run.encoders(experiment)},
    members=lambda run: _each(*run.with_objective("mae")),
)


def _loss_of(task: Task) -> str:
    return f"mean squared error of the {task.title}" if task.regression else f"loss of the {task.title}"


FINETUNING = Product(
    "finetuning-{experiment}",
    "astromae.figures.losses:draw_finetuning",
    inputs=lambda run, experiment: {"histories": run.histories(experiment, "finetuning")},
    settings=lambda run, experiment: {
        "models": [name for name in run.experiments[experiment].models for _ in run.configuration.seeds],
        "unit": run.experiments[experiment].finetuning.unit,
        "loss": _loss_of(task_of(run.task(experiment))),
    },
    members=lambda run: _each(*run.experiments),
)

LOSS_TIME = Product(
    "loss-time-{experiment}",
    "astromae.figures.loss_time:draw_loss_time",
    inputs=lambda run, experiment: {
        "provenance": run.trained(experiment, "provenance.json"),
        "histories": run.trained(experiment, "history.csv"),
    },
    settings=lambda run, experiment: {"predicted": task_of(run.task(experiment)).title},
    members=lambda run: _each(*run.experiments),
)

PRETRAINING = Product(
    "pretraining-{experiment}",
    "astromae.figures.losses:draw_pretraining",
    inputs=lambda run, experiment: {"histories": run.histories(experiment, "pretraining")},
    settings=lambda run, experiment: {
        "encoders": [name for name in run.encoders(experiment) for _ in run.configuration.seeds],
        "unit": run.experiments[experiment].pretraining.unit,
        "loss": "mean squared error, masked patches" if experiment in run.with_objective("mae") else "loss",
    },
    members=lambda run: _each(*run.pretrained),
)

LEARNING_RATE = Product(
    "learning-rate-{phase}-{experiment}",
    "astromae.figures.learning_rate:draw_learning_rate",
    # All trainings of a phase have the same learning rates.
    inputs=lambda run, phase, experiment: {"history": run.histories(experiment, phase)[0]},
    settings=lambda run, phase, experiment: {
        "phase": phase,
        "experiment": experiment,
        "unit": run.experiments[experiment].phase(phase).unit,
    },
    members=lambda run: [
        *({"phase": "finetuning", "experiment": name} for name in run.experiments),
        *({"phase": "pretraining", "experiment": name} for name in run.pretrained),
    ],
)
