# Shared by all rules: the checked configuration, the files of a run, and the settings of each step.
import inspect
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import DeploymentMethod

PACKAGE_ROOT = Path(workflow.basedir, "workflow")
sys.path.insert(0, str(PACKAGE_ROOT))

from astromae import figures, tables
from astromae.cluster.jobs import grown
from astromae.cluster.site_file import read_site
from astromae.code_state import code_state, in_words
from astromae.errors import InputError
from astromae.documents.inputs import bundled_files
from astromae.failed_jobs import describe_failed_jobs, print_at_exit
from astromae.lock import release_killed_lock
from astromae.plugins import listed_plugins, load_plugins
from astromae.products import members
from astromae.run import Run
from astromae.settings.configuration import check_configuration
from astromae.sources import command_sources, sources_of
from astromae.step_shell import shell_prefix
from astromae.steps import as_json
from astromae.survey import SURVEYS
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

environments = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
shell.prefix(shell_prefix(PACKAGE_ROOT, SETTINGS.plugins, environments).replace("{", "{{").replace("}", "}}"))

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
# Of all shards: hundreds of files among the inputs of hundreds of jobs would make each plan slow.
SHARDS_CHECKSUM = "results/stamps.sha256"
MISSING = [f"results/stamps/{chunk:04d}.missing.csv" for chunk in CHUNKS]

RUN = Run(SETTINGS, SHARDS, MISSING, CATALOG)
try:
    SAMPLES, TABLES, FIGURES = (members(table, RUN) for table in (figures.SAMPLES, tables.TABLES, figures.FIGURES))
except InputError as error:
    raise WorkflowError(str(error)) from None
# All that tables, figures and the paper are made from, and no rule of theirs makes.
TABLES_OF_RUN = [name for name in TABLES if not any(name in RUN.tables(study) for study in SETTINGS.studies)]
BUNDLED = bundled_files(RUN, [TABLES[name] for name in TABLES_OF_RUN], FIGURES.values())
if survey:
    ESTIMATES = Estimates(RUN, COUNTS, STAMPS, site.gpu_stamps_per_s)


def code(command, *modules):
    """Return the source files that a subcommand of astromae runs, to be inputs beside the data.

    Modules are those of the entries that it finds in tables (`astromae.registry.Registry.source`).
    """
    return [os.path.relpath(file) for file in sorted({*command_sources(command), *sources_of(*modules)})]


def by_content(**inputs):
    """Return large inputs that count as changed when their checksum is another one, whatever their dates.

    Snakemake compares the content of small files only. Those that go through here have a small one beside
    them (`astromae.files.write_checksum`), an output of the same job, which stands in for them. The shards
    have one together.
    """
    files = [SHARDS_CHECKSUM.removesuffix(".sha256") if value is SHARDS else value for value in inputs.values()]
    return {
        **{name: ancient(value) for name, value in inputs.items()},
        "checksums": [f"{file}.sha256" for value in files for file in ([value] if isinstance(value, str) else value)],
    }


def step_files(wildcards, input, output):
    """Return a parameter that holds the inputs and outputs of a step by name, as JSON, without what is not for it."""
    files = {**dict(input.items()), **dict(output.items())}
    return as_json({name: file for name, file in files.items() if name not in ("code", "checksums", "checksum")})


def step_settings(**settings):
    """Return a parameter that holds the settings of a step by name, as JSON; some may be functions of the wildcards.

    They stand apart from the files, since another setting has to rerun the step: Snakemake does not compare parameters
    that a function derives from inputs, outputs, threads or resources.
    """
    return lambda wildcards: as_json(
        {name: value(wildcards) if callable(value) else value for name, value in settings.items()}
    )


def untracked(value):
    """Return a parameter whose change reruns nothing: it says how a step runs, not what it makes."""
    return lambda wildcards, resources: value


def of_wildcards(function):
    """Return a function of a job's wildcards that calls another one with those that it names."""
    names = list(inspect.signature(function).parameters)
    return lambda wildcards: function(**{name: wildcards[name] for name in names})


def memory_mb(base):
    """Return a job's memory in MB, which has doubled by the third attempt."""
    return lambda wildcards, attempt: grown(base, attempt)


def minutes(first):
    """Return a time limit in minutes that grows with every attempt."""
    return lambda wildcards, attempt: attempt * first


wildcard_constraints:
    **RUN.wildcards(),
    partition=r"\d+",
    run=r"\d+",
    camcol=r"\d",
    sample="|".join(map(re.escape, SAMPLES)),
    table="|".join(map(re.escape, TABLES)),
    figure="|".join(map(re.escape, FIGURES)),
