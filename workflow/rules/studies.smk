# Studies: what each file of workflow/studies asks. Splits, scaling and encoders are made by the rules of experiments.

CURVE = "results/{study}/curves/{curve}/seed{seed}"


rule label_curve:
    input:
        unpack(curve_inputs),
        split="results/splits/{study}.parquet",
        scaling="results/splits/{study}.scaling.json",
        code=recipe_code("label-curve", curve_recipe),
    output:
        predictions=f"{CURVE}/predictions.parquet",
        provenance=f"{CURVE}/provenance.json",
    log:
        "results/logs/label-curve/{study}-{curve}-seed{seed}.log",
    priority: of_wildcards(ESTIMATES.curve_priority)
    conda:
        "../../envs/training.yaml"
    threads: config["training"]["threads"]
    resources:
        **training_job(min(GPUS, 1), 1, runtime=TRAINING_MINUTES // 2, expected_s=of_wildcards(ESTIMATES.curve_s)),
    params:
        files=step_files,
        step=step_settings(recipe=as_setting(curve_recipe), seed=seed_of),
        execution=execution("label-curve", "{study}-{curve}-seed{seed}"),
    shell:
        "python -m astromae label-curve --params {params.files:q} --params {params.step:q} "
        "--params {params.execution:q} "
        "2>&1 | tee {log}"


rule classical_curve:
    input:
        unpack(classical_inputs),
        split="results/splits/{experiment}.parquet",
        code=recipe_code("classical-curve", classical_recipe),
    output:
        predictions="results/{experiment}/curves/{method}/seed{seed}/predictions.parquet",
        record="results/{experiment}/curves/{method}/seed{seed}/provenance.json",
    log:
        "results/logs/classical-curve/{experiment}-{method}-seed{seed}.log",
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        files=step_files,
        step=step_settings(
            recipe=as_setting(classical_recipe),
            labels=lambda wildcards: SETTINGS.studies[wildcards.experiment].labels,
            seed=seed_of,
        ),
    shell:
        "python -m astromae classical-curve --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule label_table:
    input:
        predictions=study_predictions,
        code=lambda wildcards: code("label-table", task_source(SETTINGS.task(wildcards.study))),
    output:
        errors=reported("results/tables/{study}.csv", "studies/errors"),
        saved=reported("results/tables/{study}-saved.csv", "studies/saved"),
    log:
        "results/logs/label-table/{study}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(4000),
        runtime=minutes(240),
    params:
        files=step_files,
        step=step_settings(settings=SETTINGS.evaluation),
    shell:
        "python -m astromae label-table --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule label_figure:
    input:
        table="results/tables/{study}.csv",
        code=lambda wildcards: code("label-figure", task_source(SETTINGS.task(wildcards.study))),
    output:
        pdf=reported("results/figures/{study}.pdf", "studies/figure"),
        png=reported("results/figures/{study}.png", "studies/figure"),
    log:
        "results/logs/label-figure/{study}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        files=step_files,
        step=step_settings(task=lambda wildcards: SETTINGS.task(wildcards.study)),
    shell:
        "python -m astromae label-figure --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule mask_figure:
    input:
        table="results/tables/{study}.csv",
        code=lambda wildcards: code("mask-figure", task_source(SETTINGS.task(wildcards.study))),
    output:
        pdf=reported("results/figures/{study}-masks.pdf", "studies/masks"),
        png=reported("results/figures/{study}-masks.png", "studies/masks"),
    log:
        "results/logs/mask-figure/{study}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        files=step_files,
        step=step_settings(
            task=lambda wildcards: SETTINGS.task(wildcards.study),
            ratios=lambda wildcards: SETTINGS.studies[wildcards.study].mask_ratios(),
        ),
    shell:
        "python -m astromae mask-figure --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule study_values:
    input:
        errors="results/tables/{study}.csv",
        saved="results/tables/{study}-saved.csv",
        code=lambda wildcards: code("study-values", task_source(SETTINGS.task(wildcards.study))),
    output:
        output="results/{study}/values.json",
    log:
        "results/logs/study-values/{study}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(10),
    params:
        files=step_files,
        step=step_settings(
            study=lambda wildcards: SETTINGS.studies[wildcards.study],
            interval=SETTINGS.evaluation.interval,
            is_simulated=SURVEYS[SURVEY].simulated,
        ),
    shell:
        "python -m astromae study-values --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule study_document:
    input:
        source=lambda wildcards: [study_text(wildcards.study), in_clone("workflow/paper/style.typ")],
        values="results/{study}/values.json",
        figure="results/figures/{study}.pdf",
        code=code("study-document"),
    output:
        output=reported("results/{study}/{study}.pdf", "studies/document"),
    log:
        "results/logs/study-document/{study}.log",
    conda:
        "../../envs/paper.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(10),
    params:
        files=step_files,
    shell:
        "python -m astromae study-document --params {params.files:q} 2>&1 | tee {log}"
