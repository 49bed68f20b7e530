# Shared by all rules: the checked configuration, the files of a run, and what each step is told.
import itertools
import json
import math
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import Wildcards
from snakemake_interface_executor_plugins.settings import DeploymentMethod

PACKAGE_ROOT = Path(workflow.basedir, "workflow")
sys.path.insert(0, str(PACKAGE_ROOT))

from astromae.code_state import code_state, in_words
from astromae.configuration import check_configuration
from astromae.errors import InputError
from astromae.evaluation.captions import GENERAL, caption_file, caption_title
from astromae.failures import last_words, say_last
from astromae.lock import release_killed_lock
from astromae.site import read_site
from astromae.plugins import VARIABLE, listed_plugins, load_plugins
from astromae.sources import command_sources, sources_of
from astromae.survey.address import is_remote
from astromae.survey.archive import strip_folder
from astromae.unbundle import adopt_configuration, read_manifest, unpack_bundle

try:
    load_plugins(listed_plugins(config))
    check_configuration(config)
    site = read_site()
    if config["bundle"]:
        BUNDLE = Path(config["bundle"])
        MANIFEST = read_manifest(BUNDLE)
        config.update(adopt_configuration(BUNDLE, MANIFEST, workflow.config_settings.overwrite_config))
except InputError as error:
    raise WorkflowError(str(error)) from None

# Steps run the package of this repository, with the Python that runs Snakemake unless an environment of
# envs/ has its own.
search_path = f"export PYTHONPATH={shlex.quote(str(PACKAGE_ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}; "
if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
    search_path += f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH"; '
if config["plugins"]:
    search_path += f"export {VARIABLE}={shlex.quote(os.pathsep.join(map(os.path.abspath, config['plugins'])))}; "
# At a time limit or a preemption Slurm sends SIGTERM to all processes of a job. The shell and tee ignore it and wait
# for the step, which saves its state: if the shell ended, so would the job, and without tee the next line that the
# step prints would kill it. Where `make paper` shows the run, from their logs, jobs print nothing.
outlive = (
    'trap : TERM; tee() { trap \'\' TERM; if [ -n "${ASTROMAE_JOBS_ARE_SILENT:-}" ]; then cat > "$1"; '
    'else command tee "$@"; fi; }; '
)
shell.prefix(f"set -euo pipefail; {outlive}{search_path}".replace("{", "{{").replace("}", "}}"))


def listed_galaxies():
    """Return the user's own list of galaxies; None where the survey or a bundle decides."""
    if config["survey"] != "sdss" or config["sdss"]["table"] is None or config["bundle"]:
        return None
    from astromae.survey.galaxy_list import read_list

    try:
        return read_list(config["sdss"]["table"])
    except InputError as error:
        raise WorkflowError(str(error)) from None


EXPERIMENTS = config["experiments"]
SEEDS = config["seeds"]
SURVEY = config["survey"]

# Runs and camera columns of the embedded survey: chunk k of the catalogue is the k-th of them.
STRIPS = list(itertools.product(config["embedded"]["runs"], config["embedded"]["camcols"]))
# A user's own list; it is read at once, so that a wrong one stops the run here, and has no more chunks than fields.
LISTED = listed_galaxies()
CHUNKS = range(
    len(STRIPS) if SURVEY == "embedded" else min(config[SURVEY]["chunks"], LISTED.fields if LISTED else sys.maxsize)
)

# What is drawn, without what is only shown beside it.
EMBEDDED = {key: value for key, value in config["embedded"].items() if key != "real_stamps"}

# Of the real survey: what decides the galaxies, and how politely they are asked for.
SDSS_SELECTION = {key: config["sdss"][key] for key in ("server", "release", "selection", "cuts")}
SDSS_HTTP = {key: config["sdss"][key] for key in ("queries_per_minute", "timeout_s", "tries", "backoff_s")}
# Folder or address below which frames lie in the archive's own layout.
ARCHIVE = "results/survey" if SURVEY == "embedded" else config["sdss"]["archive"]

CATALOG = "results/catalog/galaxies.parquet"
SHARDS = [f"results/stamps/{chunk:04d}.h5" for chunk in CHUNKS]
MISSING = [f"results/stamps/{chunk:04d}.missing.csv" for chunk in CHUNKS]


def in_clone(path):
    """Return a file of the clone, as a path from the working directory."""
    return os.path.relpath(Path(workflow.basedir, path))


def code(command, *modules):
    """Return the source files that a subcommand of astromae runs, to be inputs beside the data.

    Modules are those of the entries that it finds in tables (`astromae.registry.Registry.source`).
    """
    return [os.path.relpath(file) for file in sorted({*command_sources(command), *sources_of(*modules)})]


def by_content(**inputs):
    """Return large inputs that count as changed when their checksum is another one, whatever their dates.

    Snakemake compares the content of small files only. Those that go through here have a small one beside
    them (`astromae.files.write_checksum`), an output of the same job, which stands in for them.
    """
    files = [file for value in inputs.values() for file in ([value] if isinstance(value, str) else value)]
    return {
        **{name: ancient(value) for name, value in inputs.items()},
        "checksums": [f"{file}.sha256" for file in files],
    }


def as_json(value):
    """Return settings as one line of JSON that depends on their content only."""
    return json.dumps(value, sort_keys=True)


def step_parameters(**settings):
    """Return a parameter that holds all that a step is told, as JSON: its inputs and outputs by name, and settings.

    Settings may be functions of the wildcards. Sources and checksums are only there for Snakemake.
    """

    def parameters(wildcards, input, output, threads):
        files = {**dict(input.items()), **dict(output.items())}
        told = {name: file for name, file in files.items() if name not in ("code", "checksums", "checksum")}
        for name, value in settings.items():
            told[name] = value(wildcards) if callable(value) else value
        return json.dumps(told, sort_keys=True, default=list)

    return parameters


def repeated(name):
    """Return a parameter that gives every file of the input `name`, if there is one, as its own --name option."""
    option = f"--{name.replace('_', '-')}"
    return lambda wildcards, input: shlex.join(word for file in input.get(name, []) for word in (option, file))


def named(option, names, each=1):
    """Return every name as its own --option, `each` times in a row."""
    return shlex.join(word for name in names for _ in range(each) for word in (f"--{option}", name))


def verbatim(text):
    """Return a parameter that is a text as it stands: in a plain one Snakemake takes braces for wildcards."""
    return lambda wildcards: text


def untracked(value):
    """Return a parameter whose change reruns nothing: it says how a step runs, not what it makes.

    Snakemake does not compare parameters that a function derives from resources.
    """
    return lambda wildcards, resources: value


def memory_mb(base):
    """Return memory that grows to twice with the attempts."""
    return lambda wildcards, attempt: base * min(1 + attempt, 4) // 2


def training_mb(processes):
    """Return a training's memory, which grows to twice with the attempts.

    Each process wants its 3 GB. On a CPU the stamps are held besides, where the inputs have any; with GPUs they go
    there in blocks, and a quarter of them keeps those that do not fit at hand in the system's cache.
    """
    part = 0.25 if GPUS else 1.2
    return lambda wildcards, input, attempt: (
        math.ceil(3000 * processes + part * mb_of_stamps(input.get("stamps", []))) * min(1 + attempt, 4) // 2
    )


def mb_of_stamps(shards):
    """Return the size of shards, or what is expected of them where some are still to be made."""
    if all(map(os.path.exists, shards)):
        return sum(map(os.path.getsize, shards)) / 2**20
    return GALAXIES * STAMP_MB


def minutes(first):
    """Return a time limit in minutes that grows with every attempt."""
    return lambda wildcards, attempt: attempt * first


# Time limit of the longest training; shorter limits of a cluster stand in slurm/site.yaml.
TRAINING_MINUTES = 1440


GPUS, NODES = config["training"]["gpus"], config["training"]["nodes"]


def training_job(gpus=GPUS, nodes=NODES, **resources):
    """Return what a job asks for that runs on the configured GPUs, or on the CPU where there are none.

    The time limit does not grow with the attempts: a training continues where the last one stopped.
    """
    asked = {**resources, **(site.gpu_resources if gpus else {})}
    if nodes == 1:
        return {"gpu": gpus, **asked}
    # Slurm counts `gpu` over all nodes, and refuses it to the step on one of them that Snakemake starts first.
    kind = [asked.pop("gpu_model")] if "gpu_model" in asked else []
    return {"nodes": nodes, "gres": ":".join(["gpu", *kind, str(gpus)]), **asked}


def launcher():
    """Return what starts a training step once for each GPU, before its command; nothing for a single process."""
    if GPUS * NODES <= 1:
        return ""
    torchrun = f"python -m astromae.training.launch --nproc-per-node {GPUS}"
    if NODES == 1:
        return f"{torchrun} --standalone --no-python "
    # One launcher on each node; they meet on the node that runs this.
    tasks = f"--ntasks={NODES} --ntasks-per-node=1 --cpus-per-task={config['training']['threads']}"
    steps = f"srun --overlap --nodes={NODES} {tasks} --gpus-per-node={GPUS}"
    meeting = "--rdzv-backend c10d --rdzv-id $SLURM_JOB_ID --rdzv-endpoint $(hostname)"
    return f"{steps} {torchrun} --nnodes {NODES} {meeting} --no-python "


def frames_folder(run, camcol):
    """Return the folder of one run's and camera column's simulated frames."""
    return f"results/survey/{strip_folder(config['embedded']['release'], run, camcol)}"


def cut_inputs(wildcards):
    """Return the catalogue, and the frames that a chunk of the embedded survey is cut from; real ones are streamed."""
    frames = {"frames": frames_folder(*STRIPS[int(wildcards.chunk)])} if SURVEY == "embedded" else {}
    return by_content(catalog=CATALOG, **frames)


def downloads(wildcards, threads):
    """Return how many frames a stamps job downloads at once, so that `--resources downloads=N` can bound jobs."""
    return threads if is_remote(ARCHIVE) else 0


# --- experiments, encoders, models ---


def pretrained_models(experiment):
    """Return the experiment's models that start from a pretrained encoder."""
    return [name for name in EXPERIMENTS[experiment]["models"] if config["models"][name]["pretrained"]]


def encoders_of(experiment):
    """Return the backbones that are pretrained for an experiment."""
    wanted = {config["models"][name]["encoder"] for name in pretrained_models(experiment)}
    return [name for name in config["backbones"] if name in wanted]


PRETRAINED = [name for name in EXPERIMENTS if pretrained_models(name)]
# Each pretrained encoder with each fraction of the patches that some experiment hides from it.
MASKED = list(
    dict.fromkeys(
        (encoder, EXPERIMENTS[name]["pretraining"]["mask_ratio"])
        for name in PRETRAINED
        for encoder in encoders_of(name)
    )
)

# Models that some experiment trains, in the order of the configuration.
USED_MODELS = [
    name for name in config["models"] if any(name in settings["models"] for settings in EXPERIMENTS.values())
]


def astromae_models(experiment):
    """Return the experiment's models with all that AstroMAE has: a pretrained encoder, Inception and magnitudes."""
    return [
        name
        for name in pretrained_models(experiment)
        if config["models"][name]["inception"] and config["models"][name]["magnitude"]
    ]


def share_models_not_labels():
    """Return whether some model is trained on two numbers of labels."""
    fractions = {}
    for settings in EXPERIMENTS.values():
        for name in settings["models"]:
            fractions.setdefault(name, set()).add(settings["fractions"]["train"])
    return any(len(different) > 1 for different in fractions.values())


def encoder_folders(experiment, seeds=SEEDS):
    """Return the folders of an experiment's encoders, encoder by encoder."""
    return [
        f"results/encoders/{encoder}/{experiment}/seed{seed}" for encoder in encoders_of(experiment) for seed in seeds
    ]


def redshift_folders(experiment, models=None):
    """Return the folders of an experiment's redshift models, model by model."""
    return [
        f"results/redshifts/{experiment}/{model}/seed{seed}"
        for model in (EXPERIMENTS[experiment]["models"] if models is None else models)
        for seed in SEEDS
    ]


def classical_files(experiment, name):
    """Return a file of every classical fit of an experiment."""
    classical = EXPERIMENTS[experiment]["classical"]
    return [f"{folder}/{name}" for folder in redshift_folders(experiment, classical)]


def predictions_of(experiment):
    """Return all predictions of an experiment, the classical ones last."""
    trained = [f"{folder}/predictions.parquet" for folder in redshift_folders(experiment)]
    return trained + classical_files(experiment, "predictions.parquet")


def experiment_of(table):
    """Return the experiment that a table belongs to."""
    return next(name for name, settings in EXPERIMENTS.items() if settings["table"] == table)


def trained_files(experiment, name):
    """Return a file of every training of an experiment: its encoders, then its redshift models."""
    return [f"{folder}/{name}" for folder in encoder_folders(experiment) + redshift_folders(experiment)]


def provenance_of(experiment):
    """Return what every training and classical fit of an experiment says of itself."""
    return trained_files(experiment, "provenance.json") + classical_files(experiment, "provenance.json")


# --- recipes: what a training step is told, and all that its result may depend on ---


def phase_settings(experiment, phase):
    """Return a phase's settings with the keys of its own kind of schedule."""
    settings = EXPERIMENTS[experiment][phase]
    keys = {
        "cosine": ["warmup_epochs", "period_epochs"],
        "paper_steps": ["decay", "restart_every"],
    }
    kind = settings["schedule"]["kind"]
    schedule = {key: settings["schedule"][key] for key in ["kind", *keys[kind]]}
    return settings | {"schedule": schedule}


def common_recipe():
    """Return what every training step is told."""
    return {
        "scaling": config["scaling"],
        "augmentation": config["augmentation"],
        "runtime": {key: config["training"][key] for key in ("precision", "gpus", "compile")},
    }


def pretraining_recipe(wildcards):
    """Return the recipe of an encoder."""
    settings = EXPERIMENTS[wildcards.experiment]
    return as_json(
        common_recipe()
        | {
            "name": wildcards.encoder,
            "experiment": wildcards.experiment,
            "backbone": config["backbones"][wildcards.encoder],
            "decoder": config["decoder"],
            "pretrain_on": settings["pretrain_on"],
            "validate_on": settings["validate_on"],
            "pretraining": phase_settings(wildcards.experiment, "pretraining"),
        }
    )


def features_recipe(wildcards):
    """Return the recipe of a frozen encoder's features: of fine-tuning only what decides its views."""
    finetuning = EXPERIMENTS[wildcards.experiment]["finetuning"]
    common = common_recipe()
    return as_json(
        common
        | {
            # Features need no gradient, and one GPU is enough.
            "runtime": common["runtime"] | {"gpus": min(GPUS, 1)},
            "name": wildcards.encoder,
            "backbone": config["backbones"][wildcards.encoder],
            "finetuning": {key: finetuning[key] for key in ("epochs", "batch_size", "noise_sigma")},
        }
    )


def redshift_recipe(wildcards):
    """Return the recipe of a redshift model."""
    model = config["models"][wildcards.model]
    branches = ("encoder", "pretrained", "frozen", "inception", "magnitude")
    return as_json(
        common_recipe()
        | {
            "experiment": wildcards.experiment,
            "model": wildcards.model,
            "group": model["group"],
            "branches": {key: model[key] for key in branches},
            "backbone": config["backbones"].get(model["encoder"]),
            "finetuning": phase_settings(wildcards.experiment, "finetuning"),
        }
    )


def shares_features(model):
    """Return whether a model reads a frozen encoder's features, computed once for all models, from a file."""
    return model["pretrained"] and model["frozen"] and config["training"]["share_features"]


def redshift_inputs(wildcards):
    """Return the catalogue, a model's pretrained encoder and shared features, and the stamps where it reads pixels."""
    large = {"catalog": CATALOG}
    model = config["models"][wildcards.model]
    if model["inception"] or (model["encoder"] and not shares_features(model)):
        large["stamps"] = SHARDS
    if model["pretrained"]:
        folder = f"results/encoders/{model['encoder']}/{wildcards.experiment}/seed{wildcards.seed}"
        large["encoder"] = f"{folder}/weights.safetensors"
        if shares_features(model):
            large["features"] = f"{folder}/features.h5"
    return by_content(**large)


def pretrained_options(wildcards, input):
    """Return the options that name a model's pretrained encoder and its features."""
    encoder, features = input.get("encoder"), input.get("features")
    options = ["--encoder-dir", os.path.dirname(encoder)] if encoder else []
    return shlex.join([*options, *(["--features", features] if features else [])])


# --- figures ---

# The groups in each density figure, as the paper divides them: more than eight models do not fit a page.
DENSITY = {}
for name, settings in EXPERIMENTS.items():
    groups = {config["models"][model]["group"] for model in settings["models"]}
    if len(settings["models"]) + len(settings["classical"]) <= 8 or groups != {
        "scratch",
        "pretrained",
    }:
        DENSITY[name] = (name, [])
    else:
        DENSITY[f"{name}-scratch"] = (name, ["scratch", "classical"])
        DENSITY[f"{name}-pretrained"] = (name, ["pretrained"])

# In the order of the results page.
FIGURES = [
    "stamps",
    *(["realism"] if SURVEY == "embedded" else []),
    *(["scheme-autoencoder"] if PRETRAINED else []),
    *(["scheme-inception"] if any(config["models"][name]["inception"] for name in USED_MODELS) else []),
    "scheme-models",
    *(["labels"] if share_models_not_labels() else []),
    *(f"density-{part}" for part in DENSITY),
    *(f"published-{settings['table']}" for settings in EXPERIMENTS.values()),
    *(f"residuals-{name}" for name in EXPERIMENTS),
    *(f"worst-{name}" for name in EXPERIMENTS if astromae_models(name)),
    *(f"reconstructions-{name}" for name in PRETRAINED),
    *(f"finetuning-{name}" for name in EXPERIMENTS),
    *(f"loss-time-{name}" for name in EXPERIMENTS),
    *(f"pretraining-{name}" for name in PRETRAINED),
    *(f"learning-rate-finetuning-{name}" for name in EXPERIMENTS),
    *(f"learning-rate-pretraining-{name}" for name in PRETRAINED),
]


def learning_rate_history(wildcards):
    """Return the history of one run of a phase: all its runs have the same learning rates."""
    if wildcards.phase == "pretraining":
        return f"{encoder_folders(wildcards.experiment)[0]}/history.csv"
    return f"{redshift_folders(wildcards.experiment)[0]}/history.csv"


# --- the report ---


def experiment_of_result(wildcards):
    """Return the experiment that a figure or table is of; None where it is of no single one."""
    if "table" in wildcards.keys():
        return experiment_of(wildcards.table)
    if "part" in wildcards.keys():
        return DENSITY[wildcards.part][0]
    return wildcards.get("experiment")


def result_caption(path):
    """Return the caption of a result or of a pattern of results, by its folder and name."""
    folder, _, name = path.removeprefix("results/").rpartition("/")
    try:
        return caption_file(PACKAGE_ROOT / "report" / folder, name.partition(".")[0])
    except InputError as error:
        raise WorkflowError(str(error)) from None


def result_title(path, wildcards):
    """Return a result's title: its caption's, and what tells it from others of its family and experiment."""
    experiment = experiment_of_result(wildcards) or ""
    values = [value for name, value in wildcards.items() if name != "table"]
    parts = [value.removeprefix(experiment).strip("-") for value in values]
    title = ", ".join([caption_title(result_caption(path)), *filter(None, parts)])
    return title.replace("finetuning", "fine-tuning")


def result_heading(wildcards):
    """Return the heading that a result stands under."""
    experiment = experiment_of_result(wildcards)
    return EXPERIMENTS[experiment]["title"] if experiment else GENERAL


def reported(path):
    """Return an output that Snakemake's report shows, with its caption from workflow/report."""
    folder = os.path.basename(os.path.dirname(path))
    suffix = path.rpartition(".")[2]
    # Of two formats the report shows first the one that the alphabet does.
    formats = {"png": "image (PNG)", "pdf": "vector (PDF)"} if folder == "figures" else {}
    return report(
        path,
        caption=os.path.relpath(result_caption(path), PACKAGE_ROOT / "rules"),
        category={"report": "Results page"}.get(folder, folder.capitalize()),
        subcategory=result_heading,
        labels=lambda wildcards: {
            "result": result_title(path, wildcards),
            "format": formats.get(suffix, suffix.upper()),
        },
    )


def about_figures():
    """Return what the results page says of every figure besides its caption."""
    about = {}
    for name in FIGURES:
        file = f"results/figures/{name}.png"
        maker = next(made_by for made_by in workflow.rules if made_by.is_producer(file))
        wildcards = Wildcards(fromdict=maker.get_wildcards(file))
        about[name] = {
            "title": result_title(file, wildcards),
            "experiment": experiment_of_result(wildcards),
            "wildcards": dict(wildcards.items()),
        }
    return about


# --- bundle ---

# All that tables, figures and the paper are made from, and no rule of theirs makes.
BUNDLED = sorted(
    {
        "results/samples/stamps.h5",
        *(["results/samples/realism.h5"] if SURVEY == "embedded" else []),
        *(f"results/samples/magnitudes-{name}.parquet" for name in EXPERIMENTS),
        *(f"results/samples/worst-{name}.h5" for name in EXPERIMENTS if astromae_models(name)),
        "results/tables/models.json",
        "results/tables/networks.json",
        "results/values/survey.json",
        *(f"results/splits/{name}.parquet" for name in EXPERIMENTS),
        *(f"{folder}/reconstructions.h5" for name in PRETRAINED for folder in encoder_folders(name, SEEDS[:1])),
        *(file for name in EXPERIMENTS for file in predictions_of(name)),
        *(file for name in EXPERIMENTS for file in trained_files(name, "history.csv")),
        *(file for name in EXPERIMENTS for file in provenance_of(name)),
    }
)


wildcard_constraints:
    chunk=r"\d{4}",
    part="|".join(DENSITY),
    partition=r"\d+",
    run=r"\d+",
    camcol=r"\d",
    seed=r"\d+",
    experiment="|".join(EXPERIMENTS),
    encoder="|".join(config["backbones"]),
    model="|".join(config["models"]),
    table="|".join(experiment["table"] for experiment in EXPERIMENTS.values()),
    phase="pretraining|finetuning",
