# Shared by all rules: the checked configuration, the files of a run, and what each step is told.
import json
import math
import os
import re
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import Wildcards
from snakemake_interface_executor_plugins.settings import DeploymentMethod

PACKAGE_ROOT = Path(workflow.basedir, "workflow")
sys.path.insert(0, str(PACKAGE_ROOT))

from astromae.cluster.site_file import read_site
from astromae.code_state import code_state, in_words
from astromae.errors import InputError
from astromae import figures, tables
from astromae.documents.captions import GENERAL, Shown, caption_title, shown
from astromae.documents.inputs import bundled_files, values_inputs
from astromae.failed_jobs import describe_failed_jobs, print_at_exit
from astromae.lock import release_killed_lock
from astromae.plugins import VARIABLE, listed_plugins, load_plugins
from astromae.products import members
from astromae.run import Run
from astromae.settings.configuration import check_configuration
from astromae.sources import command_sources, sources_of
from astromae.survey import SURVEYS
from astromae.survey.address import is_remote
from astromae.tasks import TASKS
from astromae.training import recipes
from astromae.unbundle import adopt_configuration, read_manifest, unpack_bundle

try:
    load_plugins(listed_plugins(config))
    SETTINGS = check_configuration(config)
    site = read_site()
    if config["bundle"]:
        BUNDLE = Path(config["bundle"])
        MANIFEST = read_manifest(BUNDLE)
        config.update(adopt_configuration(BUNDLE, MANIFEST, workflow.config_settings.overwrite_config))
        SETTINGS = check_configuration(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

# Steps run the package of this repository, with the Python that runs Snakemake unless an environment of
# envs/ has its own.
search_path = f"export PYTHONPATH={shlex.quote(str(PACKAGE_ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}; "
if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
    search_path += f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH"; '
if config["plugins"]:
    search_path += f"export {VARIABLE}={shlex.quote(os.pathsep.join(map(os.path.abspath, config['plugins'])))}; "
# At a time limit or a preemption Slurm sends SIGTERM to all processes of a job. The shell and tee then wait for
# the step: without the one the job is over, without the other a word of the step breaks it, before it has
# saved its state.
outlive = "trap : TERM; tee() { trap '' TERM; command tee \"$@\"; }; "
shell.prefix(f"set -euo pipefail; {outlive}{search_path}".replace("{", "{{").replace("}", "}}"))


EXPERIMENTS = config["experiments"]
SEEDS = config["seeds"]
SURVEY = config["survey"]

# Of a bundle nothing before the tables is made, whatever the survey was.
survey, section, CHUNKS = None, None, []
if not config["bundle"]:
    try:
        survey = SURVEYS[SURVEY]
        section = SETTINGS.section(SURVEY)
        # What a person brings is read at once, so that a wrong file stops the run here.
        CHUNKS = range(survey.chunks(section))
        STAMPS = survey.stamps(section, SETTINGS.stamps.size)
    except InputError as error:
        raise WorkflowError(str(error)) from None

CATALOG = "results/catalog/galaxies.parquet"
SHARDS = [f"results/stamps/{chunk:04d}.h5" for chunk in CHUNKS]
MISSING = [f"results/stamps/{chunk:04d}.missing.csv" for chunk in CHUNKS]


RUN = Run(config, SHARDS, MISSING, CATALOG)
SAMPLES, TABLES, FIGURES = (members(table, RUN) for table in (figures.SAMPLES, tables.TABLES, figures.FIGURES))
# All that tables, figures and the paper are made from, and no rule of theirs makes.
BUNDLED = bundled_files(RUN, TABLES.values(), FIGURES.values())


def in_clone(path):
    """Return a file of the clone, as a path from the working directory."""
    return os.path.relpath(Path(workflow.basedir, path))


def clone_files(folder):
    """Return all files of a folder of the clone."""
    return [in_clone(file) for file in sorted(Path(workflow.basedir, folder).rglob("*")) if file.is_file()]


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


def with_checksums(inputs):
    """Return a sample's inputs, of which stamps and catalogue count by their content."""
    large = {name: files for name, files in inputs.items() if name in ("catalog", "stamps")}
    return {**inputs, **by_content(**large)}


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


def downloads(wildcards, threads):
    """Return how many frames a stamps job downloads at once, so that `--resources downloads=N` can bound jobs."""
    return threads if is_remote(survey.frames(section) or "") else 0


# --- encoders and models ---


encoder_folders, model_folders, encoders_of = RUN.encoder_folders, RUN.model_folders, RUN.encoders
PRETRAINED = RUN.pretrained


def encoder_recipe(wildcards):
    """Return the recipe of an encoder."""
    return recipes.encoder_recipe(config, wildcards.experiment, wildcards.encoder)


def features_recipe(wildcards):
    """Return the recipe of a frozen encoder's features."""
    return recipes.features_recipe(config, wildcards.experiment, wildcards.encoder)


def model_recipe(wildcards):
    """Return the recipe of a model."""
    return recipes.model_recipe(config, wildcards.experiment, wildcards.model)


def boosting_recipe(wildcards):
    """Return the recipe of the classical method."""
    return recipes.boosting_recipe(config, wildcards.experiment, "hgb-magnitudes")


def told(recipe):
    """Return a setting of a step: a recipe, given the wildcards, as JSON holds it."""
    return lambda wildcards: recipe(wildcards).told()


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


def shares_features(model):
    """Return whether a model reads a frozen encoder's features, computed once for all models, from a file."""
    return model["pretrained"] and model["frozen"] and config["training"]["share_features"]


def training_inputs(wildcards):
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


# --- the report ---


def shown_product(products, name):
    """Return what reports say of a table or figure."""
    table, kind = (tables.TABLES, "tables") if products is TABLES else (figures.FIGURES, "figures")
    try:
        return shown(table, products[name], PACKAGE_ROOT / "report" / kind, config)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def caption_of(products, wildcard):
    """Return a parameter with a product's caption, for Snakemake's report; a change of it reruns nothing."""
    return lambda wildcards, resources: shown_product(products, wildcards[wildcard]).caption


def reported(path, caption=None):
    """Return an output that Snakemake's report shows.

    Its caption is a file of workflow/report; that of a table or figure (no `caption`) is a parameter of its job.
    """
    folder, suffix = os.path.basename(os.path.dirname(path)), path.rpartition(".")[2]
    # Of two formats the report shows first the one that the alphabet does.
    formats = {"png": "image (PNG)", "pdf": "vector (PDF)"} if folder == "figures" else {}
    products, wildcard = (FIGURES, "figure") if folder == "figures" else (TABLES, "table")

    def said(wildcards):
        if caption is None:
            return shown_product(products, wildcards[wildcard])
        text = Path(PACKAGE_ROOT, "report", folder, f"{caption}.rst").read_text(encoding="utf-8")
        return Shown(caption_title(text), None, GENERAL, text)

    return report(
        path,
        caption="../report/product.rst" if caption is None else f"../report/{folder}/{caption}.rst",
        category={"report": "Results page"}.get(folder, folder.capitalize()),
        subcategory=lambda wildcards: said(wildcards).heading,
        labels=lambda wildcards: {"result": said(wildcards).title, "format": formats.get(suffix, suffix.upper())},
    )


wildcard_constraints:
    chunk=r"\d{4}",
    partition=r"\d+",
    run=r"\d+",
    camcol=r"\d",
    seed=r"\d+",
    experiment="|".join(EXPERIMENTS),
    encoder="|".join(config["backbones"]),
    model="|".join(config["models"]),
    sample="|".join(map(re.escape, SAMPLES)),
    table="|".join(map(re.escape, TABLES)),
    figure="|".join(map(re.escape, FIGURES)),
