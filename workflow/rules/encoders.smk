# Encoders: pretrained without labels; one for each backbone, experiment and seed.

ENCODER = "results/encoders/{encoder}/{experiment}/seed{seed}"


rule encoders:
    input:
        [
            f"{folder}/{file}"
            for experiment in RUN.pretrained
            for folder in RUN.encoder_folders(experiment)
            for file in ["weights.safetensors", *["reconstructions.h5"] * (experiment in RUN.reconstructing)]
        ],
    localrule: True


rule scaling:
    input:
        **by_content(catalog=CATALOG, stamps=SHARDS),
        split="results/splits/{experiment}.parquet",
        code=code("scaling"),
    output:
        output="results/splits/{experiment}.scaling.json",
    log:
        "results/logs/scaling/{experiment}.log",
    priority: 200
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        files=step_files,
        step=step_settings(
            pretrain_on=lambda wildcards: SETTINGS.sample(wildcards.experiment).pretrain_on,
            settings=lambda wildcards: SETTINGS.of_sample(wildcards.experiment).scaling,
        ),
    shell:
        "python -m astromae scaling --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule pretrain:
    input:
        unpack(pretraining_inputs),
        split="results/splits/{experiment}.parquet",
        scaling="results/splits/{experiment}.scaling.json",
        code=recipe_code("pretrain", encoder_recipe),
    output:
        f"{ENCODER}/weights.safetensors",
        f"{ENCODER}/weights.safetensors.sha256",
        f"{ENCODER}/history.csv",
        f"{ENCODER}/recipe.json",
        f"{ENCODER}/provenance.json",
    log:
        "results/logs/pretrain/{experiment}-{encoder}-seed{seed}.log",
    priority: of_wildcards(ESTIMATES.pretraining_priority)
    conda:
        "../../envs/training.yaml"
    threads: config["training"]["threads"]
    resources:
        **training_job(runtime=TRAINING_MINUTES, expected_s=of_wildcards(ESTIMATES.pretraining_s)),
    params:
        launch=untracked(launcher(SETTINGS.training)),
        files=step_files,
        step=step_settings(
            recipe=as_setting(encoder_recipe),
            seed=seed_of,
            output=lambda wildcards: ENCODER.format(**dict(wildcards.items())),
        ),
        execution=execution("pretrain", "{experiment}-{encoder}-seed{seed}"),
    shell:
        "{params.launch}python -m astromae pretrain --params {params.files:q} --params {params.step:q} "
        "--params {params.execution:q} "
        "2>&1 | tee {log}"


rule reconstruct:
    input:
        **by_content(weights=f"{ENCODER}/weights.safetensors", stamps=SHARDS),
        split="results/splits/{experiment}.parquet",
        code=recipe_code("reconstruct", encoder_recipe),
    output:
        output=f"{ENCODER}/reconstructions.h5",
    log:
        "results/logs/reconstruct/{experiment}-{encoder}-seed{seed}.log",
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(3000),
        runtime=minutes(30),
    params:
        files=step_files,
        step=step_settings(
            validate_on=lambda wildcards: SETTINGS.sample(wildcards.experiment).validate_on,
            seed=seed_of,
        ),
    shell:
        "python -m astromae reconstruct --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule features:
    input:
        **by_content(weights=f"{ENCODER}/weights.safetensors", stamps=SHARDS),
        split="results/splits/{experiment}.parquet",
        scaling="results/splits/{experiment}.scaling.json",
        code=recipe_code("features", features_recipe),
    output:
        features=f"{ENCODER}/features.h5",
        checksum=f"{ENCODER}/features.h5.sha256",
    log:
        "results/logs/features/{experiment}-{encoder}-seed{seed}.log",
    priority: 140
    conda:
        "../../envs/training.yaml"
    threads: config["training"]["threads"]
    resources:
        **training_job(
            min(GPUS, 1),
            1,
            runtime=TRAINING_MINUTES // 2,
            expected_s=of_wildcards(ESTIMATES.features_s),
            kept_mb=of_wildcards(ESTIMATES.features_mb),
        ),
    params:
        files=step_files,
        step=step_settings(recipe=as_setting(features_recipe), seed=seed_of),
    shell:
        "python -m astromae features --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"
