# The AstroMAE paper as a workflow: survey, stamps, encoders, predictions, tables, figures, paper, results page.
#   snakemake --cores all                                            everything, on this machine
#   snakemake --cores all --configfile workflow/presets/test.yaml    the same in minutes, tiny
#   snakemake --profile slurm                                        everything, on a cluster
#   snakemake --cores all --config bundle=results/bundle.tar         tables, figures and paper from a bundle
# A target can be named: catalog, stamps, encoders, models, tables, figures, paper, results_page, bundle; and each study
# of workflow/studies, which is part neither of everything nor of a bundle:  snakemake --cores all rivals
# For galaxies of one's own:  snakemake --cores all predictions --config predict=LIST model=FOLDER
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


# What each study asks. A preset is laid over these as over config.yaml.
for study in sorted(Path(workflow.basedir, "workflow/studies").glob("*.yaml")):

    configfile: study


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/report.smk"


if config["bundle"]:

    include: "workflow/rules/unbundle.smk"

else:

    include: "workflow/rules/trainings.smk"
    include: "workflow/rules/survey.smk"
    include: "workflow/rules/downloads.smk"
    include: "workflow/rules/cutting.smk"
    include: "workflow/rules/stamps.smk"
    include: "workflow/rules/encoders.smk"
    include: "workflow/rules/models.smk"
    include: "workflow/rules/studies.smk"
    include: "workflow/rules/samples.smk"
    include: "workflow/rules/preflight.smk"
    include: "workflow/rules/bundle.smk"

    if config["predict"]:

        include: "workflow/rules/predictions.smk"


include: "workflow/rules/results.smk"
include: "workflow/rules/paper.smk"


if not config["bundle"]:

    include: "workflow/rules/study_targets.smk"


localrules:
    all,
    tables,
    figures,


rule all:
    default_target: True
    input:
        rules.tables.input,
        rules.figures.input,
        rules.paper.output,
        rules.results_page.output,


onerror:
    # Not in the jobs of a cluster, each a Snakemake of its own. `log` lists the files of Snakemake's log.
    if workflow.is_main_process:
        print_at_exit(describe_failed_jobs("".join(Path(file).read_text(errors="replace") for file in log)))


# Last, since a bundle has a working directory of its own.
if workflow.is_main_process:
    release_killed_lock()
