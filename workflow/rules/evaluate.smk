# Tables, the numbers that the paper quotes, and figures: all from predictions, histories and recipes.


rule tables:
    input:
        [
            f"results/tables/{experiment['table']}.{suffix}"
            for experiment in EXPERIMENTS.values()
            for suffix in ("csv", "tex")
        ],
        "results/tables/models.json",


rule figures:
    input:
        [f"results/figures/{name}.{suffix}" for name in FIGURES for suffix in ("pdf", "png")],


rule table:
    input:
        predictions=lambda wildcards: predictions_of(experiment_of(wildcards.table)),
        code=code("table"),
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
        predictions=repeated("predictions"),
        settings=as_json(config["evaluation"]),
    shell:
        "python -m astromae table --name {wildcards.table} {params.predictions} "
        "--settings {params.settings:q} --output-csv {output.csv} --output-tex {output.tex} 2>&1 | tee {log}"


rule values_experiment:
    input:
        split="results/splits/{experiment}.parquet",
        table=lambda wildcards: f"results/tables/{EXPERIMENTS[wildcards.experiment]['table']}.csv",
        models="results/tables/models.json",
        predictions=lambda wildcards: predictions_of(wildcards.experiment),
        provenance=lambda wildcards: trained_files(wildcards.experiment, "provenance.json")
        + classical_files(wildcards.experiment, "provenance.json"),
        code=code("values-experiment"),
    output:
        "results/values/{experiment}.json",
    log:
        "results/logs/values/{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        settings=lambda wildcards: as_json(EXPERIMENTS[wildcards.experiment]),
        evaluation=as_json(config["evaluation"]),
        predictions=repeated("predictions"),
        provenance=repeated("provenance"),
    shell:
        "python -m astromae values-experiment --experiment {wildcards.experiment} "
        "--settings {params.settings:q} --evaluation {params.evaluation:q} --split {input.split} "
        "--table {input.table} --models {input.models} {params.predictions} "
        "{params.provenance} --output {output} 2>&1 | tee {log}"


rule figure_stamps:
    input:
        sample="results/samples/stamps.h5",
        code=code("figure-stamps"),
    output:
        pdf=reported("results/figures/stamps.pdf"),
        png=reported("results/figures/stamps.png"),
    log:
        "results/logs/figures/stamps.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    shell:
        "python -m astromae figure-stamps --sample {input.sample} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_learning_rate:
    input:
        history=learning_rate_history,
        code=code("figure-learning-rate"),
    output:
        pdf=reported("results/figures/learning-rate-{phase}-{experiment}.pdf"),
        png=reported("results/figures/learning-rate-{phase}-{experiment}.png"),
    log:
        "results/logs/figures/learning-rate-{phase}-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    shell:
        "python -m astromae figure-learning-rate --phase {wildcards.phase} "
        "--experiment {wildcards.experiment} --history {input.history} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_reconstructions:
    input:
        reconstructions=lambda wildcards: [
            f"{folder}/reconstructions.h5" for folder in encoder_folders(wildcards.experiment, SEEDS[:1])
        ],
        code=code("figure-reconstructions"),
    output:
        pdf=reported("results/figures/reconstructions-{experiment}.pdf"),
        png=reported("results/figures/reconstructions-{experiment}.png"),
    log:
        "results/logs/figures/reconstructions-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        encoders=lambda wildcards: named("encoder", encoders_of(wildcards.experiment)),
        reconstructions=repeated("reconstructions"),
    shell:
        "python -m astromae figure-reconstructions {params.encoders} {params.reconstructions} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_pretraining:
    input:
        history=lambda wildcards: [f"{folder}/history.csv" for folder in encoder_folders(wildcards.experiment)],
        code=code("figure-pretraining"),
    output:
        pdf=reported("results/figures/pretraining-{experiment}.pdf"),
        png=reported("results/figures/pretraining-{experiment}.png"),
    log:
        "results/logs/figures/pretraining-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        encoders=lambda wildcards: named("encoder", encoders_of(wildcards.experiment), each=len(SEEDS)),
        histories=repeated("history"),
    shell:
        "python -m astromae figure-pretraining {params.encoders} {params.histories} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_finetuning:
    input:
        history=lambda wildcards: [f"{folder}/history.csv" for folder in redshift_folders(wildcards.experiment)],
        code=code("figure-finetuning"),
    output:
        pdf=reported("results/figures/finetuning-{experiment}.pdf"),
        png=reported("results/figures/finetuning-{experiment}.png"),
    log:
        "results/logs/figures/finetuning-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        models=lambda wildcards: named("model", EXPERIMENTS[wildcards.experiment]["models"], each=len(SEEDS)),
        histories=repeated("history"),
    shell:
        "python -m astromae figure-finetuning {params.models} {params.histories} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_density:
    input:
        predictions=lambda wildcards: predictions_of(DENSITY[wildcards.part][0]),
        code=code("figure-density"),
    output:
        pdf=reported("results/figures/density-{part}.pdf"),
        png=reported("results/figures/density-{part}.png"),
    log:
        "results/logs/figures/density-{part}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        predictions=repeated("predictions"),
        groups=lambda wildcards: named("group", DENSITY[wildcards.part][1]),
    shell:
        "python -m astromae figure-density {params.predictions} {params.groups} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_published:
    input:
        table="results/tables/{table}.csv",
        code=code("figure-published"),
    output:
        pdf=reported("results/figures/published-{table}.pdf"),
        png=reported("results/figures/published-{table}.png"),
    log:
        "results/logs/figures/published-{table}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    shell:
        "python -m astromae figure-published --table {input.table} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"
