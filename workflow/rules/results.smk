# Tables, figures and the numbers that the paper quotes: all from predictions, histories, provenance and samples.
from astromae.documents.inputs import values_inputs
from astromae.tasks import task_source


rule tables:
    input:
        [f"results/tables/{name}.{suffix}" for name in TABLES_OF_RUN for suffix in ("csv", "tex")],
        "results/tables/models.json",


rule figures:
    input:
        [f"results/figures/{name}.{suffix}" for name in FIGURES for suffix in ("pdf", "png")],


rule table:
    input:
        unpack(lambda wildcards: TABLES[wildcards.table].inputs),
        code=lambda wildcards: code("table", *TABLES[wildcards.table].sources),
    output:
        csv=reported("results/tables/{table}.csv"),
        tex=reported("results/tables/{table}.tex"),
    log:
        "results/logs/table/{table}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        files=step_files,
        step=step_settings(family=lambda wildcards: TABLES[wildcards.table].family),
        settings=lambda wildcards: as_json(TABLES[wildcards.table].settings),
        caption=caption_of(TABLES, "table"),
    shell:
        "python -m astromae table --params {params.files:q} --params {params.step:q} "
        "--params {params.settings:q} 2>&1 | tee {log}"


rule figure:
    input:
        unpack(lambda wildcards: FIGURES[wildcards.figure].inputs),
        code=lambda wildcards: code("figure", *FIGURES[wildcards.figure].sources),
    output:
        pdf=reported("results/figures/{figure}.pdf"),
        png=reported("results/figures/{figure}.png"),
    log:
        "results/logs/figures/{figure}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        files=step_files,
        step=step_settings(family=lambda wildcards: FIGURES[wildcards.figure].family),
        settings=lambda wildcards: as_json(FIGURES[wildcards.figure].settings),
        caption=caption_of(FIGURES, "figure"),
    shell:
        "python -m astromae figure --params {params.files:q} --params {params.step:q} "
        "--params {params.settings:q} 2>&1 | tee {log}"


rule values_experiment:
    input:
        unpack(lambda wildcards: values_inputs(RUN, wildcards.experiment)),
        code=lambda wildcards: code("values-experiment", task_source(RUN.task(wildcards.experiment))),
    output:
        output="results/values/{experiment}.json",
    log:
        "results/logs/values/{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        files=step_files,
        step=step_settings(
            experiment=lambda wildcards: wildcards.experiment,
            settings=lambda wildcards: config["experiments"][wildcards.experiment],
            evaluation=SETTINGS.evaluation,
        ),
    shell:
        "python -m astromae values-experiment --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"
