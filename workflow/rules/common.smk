# Shared by all rules: the checked configuration, the files of a run, and what each step is told.
import inspect
import json
import os
import re
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import DeploymentMethod

PACKAGE_ROOT = Path(workflow.basedir, "workflow")
sys.path.insert(0, str(PACKAGE_ROOT))

from astromae.cluster.jobs import grown
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
# At a time limit or a preemption Slurm sends SIGTERM to all processes of a job. The shell and tee ignore it and wait
# for the step, which saves its state: if the shell ended, so would the job, and without tee the next line that the
# step prints would kill it.
outlive = "trap : TERM; tee() { trap '' TERM; command tee \"$@\"; }; "
shell.prefix(f"set -euo pipefail; {outlive}{search_path}".replace("{", "{{").replace("}", "}}"))


EXPERIMENTS = config["experiments"]
SEEDS = config["seeds"]
SURVEY = config["survey"]
CATALOG = "results/catalog/galaxies.parquet"

# Of a bundle nothing before the tables is made, whatever the survey was.
survey, section, CHUNKS = None, None, []
if not config["bundle"]:
    from astromae.cluster.estimates import Estimates

    try:
        survey = SURVEYS[SURVEY]
        section = SETTINGS.section(SURVEY)
        # What a person brings is read at once, so that a wrong file stops the run here.
        CHUNKS = range(survey.chunks(section))
        STAMPS = SETTINGS.stamp_format()
        COUNTS = survey.expected(section)
    except InputError as error:
        raise WorkflowError(str(error)) from None

SHARDS = [f"results/stamps/{chunk:04d}.h5" for chunk in CHUNKS]
MISSING = [f"results/stamps/{chunk:04d}.missing.csv" for chunk in CHUNKS]

RUN = Run(SETTINGS, SHARDS, MISSING, CATALOG)
SAMPLES, TABLES, FIGURES = (members(table, RUN) for table in (figures.SAMPLES, tables.TABLES, figures.FIGURES))
# All that tables, figures and the paper are made from, and no rule of theirs makes.
BUNDLED = bundled_files(RUN, TABLES.values(), FIGURES.values())
if survey:
    ESTIMATES = Estimates(RUN, COUNTS, STAMPS, site.gpu_stamps_per_s)


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
    return json.dumps(value, sort_keys=True, default=plain)


def plain(value):
    """Return what JSON has no form for as something that it has."""
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else list(value)


def step_parameters(**settings):
    """Return a parameter that holds all that a step is told, as JSON: its inputs and outputs by name, and settings.

    Settings may be functions of the wildcards. Sources and checksums are only there for Snakemake.
    """

    def parameters(wildcards, input, output, threads):
        files = {**dict(input.items()), **dict(output.items())}
        told = {name: file for name, file in files.items() if name not in ("code", "checksums", "checksum")}
        for name, value in settings.items():
            told[name] = value(wildcards) if callable(value) else value
        return as_json(told)

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


def of_wildcards(function):
    """Return a function of a job's wildcards that calls another one with those that it names."""
    names = list(inspect.signature(function).parameters)
    return lambda wildcards: function(**{name: wildcards[name] for name in names})


def memory_mb(base):
    """Return memory that grows to twice with the attempts."""
    return lambda wildcards, attempt: grown(base, attempt)


def minutes(first):
    """Return a time limit in minutes that grows with every attempt."""
    return lambda wildcards, attempt: attempt * first


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
    **RUN.wildcards(),
    partition=r"\d+",
    run=r"\d+",
    camcol=r"\d",
    sample="|".join(map(re.escape, SAMPLES)),
    table="|".join(map(re.escape, TABLES)),
    figure="|".join(map(re.escape, FIGURES)),
