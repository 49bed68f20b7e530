# What trainings ask for: resources, recipes, and which files they read.
from functools import partial

from astromae.classical import METHODS
from astromae.cluster.jobs import TRAINING_MINUTES, launcher, training_resources
from astromae.training import configured_recipes

GPUS, NODES = SETTINGS.training.gpus, SETTINGS.training.nodes


def training_job(gpus=GPUS, nodes=NODES, **resources):
    """Return what a training asks for: `resources`, its memory, and the configured GPUs.

    The time limit does not grow with the attempts: a training continues where the last one stopped.
    """
    processes = max(1, gpus)

    def training_mb(wildcards, input, attempt):
        return grown(ESTIMATES.training_mb(processes, input.get("stamps", [])), attempt)

    return training_resources(gpus, nodes, site.gpu_resources, {"mem_mb": training_mb, **resources})


encoder_recipe = of_wildcards(partial(configured_recipes.encoder_recipe, SETTINGS))
features_recipe = of_wildcards(partial(configured_recipes.features_recipe, SETTINGS))
model_recipe = of_wildcards(partial(configured_recipes.model_recipe, SETTINGS))
curve_recipe = of_wildcards(partial(configured_recipes.curve_recipe, SETTINGS))
classical_recipe = of_wildcards(partial(configured_recipes.classical_recipe, SETTINGS))


def as_setting(recipe):
    """Return a setting of a step: a recipe, given the wildcards, as JSON holds it."""
    return lambda wildcards: recipe(wildcards).as_json()


def recipe_code(step, recipe):
    """Return the code of a step, with that of the entries of tables that its recipe names."""
    return lambda wildcards: code(step, *recipe(wildcards).sources())


def execution(step, name):
    """Return a parameter that says how a training is run, which reruns nothing; `name` has wildcards in braces."""

    def parameter(wildcards, resources):
        events = f"results/logs/tensorboard/{step}/{name.format(**dict(wildcards.items()))}"
        return as_json({"execution": {"minutes": resources.runtime, "events": events}})

    return parameter


def seed_of(wildcards):
    """Return the seed of a training."""
    return int(wildcards.seed)


def pretraining_inputs(wildcards):
    """Return the stamps, and the catalogue where labels or extinctions are read."""
    large = {"stamps": SHARDS}
    if encoder_recipe(wildcards).reads_catalog:
        large["catalog"] = CATALOG
    return by_content(**large)


def training_inputs(wildcards):
    """Return the catalogue, a model's pretrained encoder and shared features, and the stamps where it reads pixels."""
    large = {"catalog": CATALOG}
    model = config["models"][wildcards.model]
    if model["inception"] or (model["encoder"] and not RUN.shares_features(wildcards.model)):
        large["stamps"] = SHARDS
    if model["pretrained"]:
        folder = f"results/encoders/{model['encoder']}/{wildcards.experiment}/seed{wildcards.seed}"
        large["encoder"] = f"{folder}/weights.safetensors"
        if RUN.shares_features(wildcards.model):
            large["features"] = f"{folder}/features.h5"
    return by_content(**large)


def curve_inputs(wildcards):
    """Return the catalogue and the stamps that a line of a study reads, and its pretrained encoder."""
    large = {"catalog": CATALOG, "stamps": SHARDS}
    encoder = SETTINGS.studies[wildcards.study].curves()[wildcards.curve].encoder
    if encoder:
        large["encoder"] = f"results/encoders/{encoder}/{wildcards.study}/seed{wildcards.seed}/weights.safetensors"
    return by_content(**large)


def classical_inputs(wildcards):
    """Return the catalogue, and the stamps where a classical method measures them."""
    large = {"catalog": CATALOG}
    if METHODS[wildcards.method].stamps:
        large["stamps"] = SHARDS
    return by_content(**large)


def checked_study(study):
    """Return a study of the configuration, whose settings fit the rest of it."""
    try:
        SETTINGS.check_study(study)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return SETTINGS.studies[study]


def study_results(study):
    """Return a function that gives all that a study makes."""

    def results(wildcards):
        masks = [f"{study}-masks"] if checked_study(study).mask_ratios() else []
        return [
            *(f"results/tables/{table}.csv" for table in (study, f"{study}-saved", *RUN.tables(study))),
            *(f"results/figures/{figure}.{suffix}" for figure in (study, *masks) for suffix in ("pdf", "png")),
            *([f"results/{study}/{study}.pdf"] if Path(study_text(study)).exists() else []),
        ]

    return results


def study_predictions(wildcards):
    """Return the predictions of all lines of a study."""
    checked_study(wildcards.study)
    return RUN.label_curves(wildcards.study)
