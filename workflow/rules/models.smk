# Models: one run for each experiment, model and seed, and the classical methods beside them.

MODEL = "results/models/{experiment}/{model}/seed{seed}"
CLASSICAL = "results/models/{experiment}/{method}/seed{seed}"


rule models:
    input:
        [file for experiment in RUN.experiments for file in RUN.predictions(experiment)],
    localrule: True


rule train:
    input:
        unpack(training_inputs),
        split="results/splits/{experiment}.parquet",
        scaling="results/splits/{experiment}.scaling.json",
        code=recipe_code("train", model_recipe),
    output:
        f"{MODEL}/predictions.parquet",
        f"{MODEL}/weights.safetensors",
        f"{MODEL}/weights.safetensors.sha256",
        f"{MODEL}/reference.safetensors",
        f"{MODEL}/history.csv",
        f"{MODEL}/recipe.json",
        f"{MODEL}/provenance.json",
    log:
        "results/logs/train/{experiment}-{model}-seed{seed}.log",
    priority: of_wildcards(ESTIMATES.model_priority)
    conda:
        "../../envs/training.yaml"
    threads: config["training"]["threads"]
    resources:
        **training_job(runtime=TRAINING_MINUTES // 2, expected_s=of_wildcards(ESTIMATES.model_s)),
    params:
        launch=untracked(launcher(SETTINGS.training)),
        files=step_files,
        step=step_settings(
            recipe=as_setting(model_recipe),
            seed=seed_of,
            output=lambda wildcards: MODEL.format(**dict(wildcards.items())),
        ),
        execution=execution("train", "{experiment}-{model}-seed{seed}"),
    shell:
        "{params.launch}python -m astromae train --params {params.files:q} --params {params.step:q} "
        "--params {params.execution:q} "
        "2>&1 | tee {log}"


rule classical:
    input:
        unpack(classical_inputs),
        split="results/splits/{experiment}.parquet",
        code=recipe_code("classical", classical_recipe),
    output:
        f"{CLASSICAL}/predictions.parquet",
        f"{CLASSICAL}/weights.safetensors",
        f"{CLASSICAL}/weights.safetensors.sha256",
        f"{CLASSICAL}/recipe.json",
        f"{CLASSICAL}/provenance.json",
    log:
        "results/logs/classical/{experiment}-{method}-seed{seed}.log",
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        files=step_files,
        step=step_settings(
            recipe=as_setting(classical_recipe),
            seed=seed_of,
            output=lambda wildcards: CLASSICAL.format(**dict(wildcards.items())),
        ),
    shell:
        "python -m astromae classical --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"
