"""Which tables a run has, and what each is made from."""

from astromae.products import Product

METRICS = Product(
    "{table}",
    "astromae.tables.metrics:write_table",
    inputs=lambda run, experiment, table: {
        "predictions": run.predictions(experiment),
        "histories": run.histories(experiment, "finetuning"),
    },
    settings=lambda run, experiment, table: {
        "name": table,
        "settings": run.configuration.evaluation,
        "models": [model for model in run.experiment(experiment).models for _ in run.configuration.seeds],
    },
    members=lambda run: [
        {"experiment": name, "table": settings.table} for name, settings in run.configuration.experiments.items()
    ],
)

COST = Product(
    "cost",
    "astromae.tables.costs:write_cost_table",
    inputs=lambda run: {
        "provenance": [file for name in run.experiments for file in run.provenance(name)],
        "networks": "results/tables/networks.json",
    },
    settings=lambda run: {"titles": {name: settings.title for name, settings in run.experiments.items()}},
)

CALIBRATION = Product(
    "calibration",
    "astromae.tables.calibration:write_calibration_table",
    inputs=lambda run: {"predictions": [file for name in run.with_density() for file in run.predictions(name)]},
    settings=lambda run: {"settings": run.configuration.evaluation},
    members=lambda run: [{}] if run.with_density() else [],
)

CONFORMAL = Product(
    "conformal-{table}",
    "astromae.tables.conformal:write_conformal_table",
    inputs=lambda run, experiment, table: {"predictions": run.predictions(experiment)},
    settings=lambda run, experiment, table: {"settings": run.configuration.evaluation},
    members=lambda run: [{"experiment": name, "table": run.experiments[name].table} for name in run.with_redshifts()],
)

RAIL = Product(
    "rail-{table}",
    "astromae.tables.rail:write_rail_table",
    inputs=CONFORMAL.inputs,
    settings=CONFORMAL.settings,
    members=CONFORMAL.members,
)

QUESTIONS = Product(
    "questions-{table}",
    "astromae.tables.questions:write_questions_table",
    inputs=CONFORMAL.inputs,
    settings=CONFORMAL.settings,
    members=lambda run: [
        {"experiment": name, "table": run.experiments[name].table} for name in run.with_task("morphology")
    ],
)

PURITY = Product(
    "purity",
    "astromae.tables.purity:write_purity_table",
    inputs=lambda run: {
        "samples": [f"results/samples/features-{name}.h5" for name in run.with_features()],
    },
    settings=lambda run: {
        "experiments": run.with_features(),
        "titles": [run.experiments[name].title for name in run.with_features()],
        "settings": run.configuration.evaluation,
    },
    members=lambda run: [{}] if run.with_features() else [],
)

REALISM = Product(
    "realism",
    "astromae.evaluation.realism:write_realism_table",
    inputs=lambda run: {"sample": "results/samples/realism.h5"},
    members=lambda run: [{}] if run.survey == "embedded" else [],
)
