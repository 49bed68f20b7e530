# Encoders: pretrained as masked autoencoders, without labels; one for each backbone, experiment and seed.


rule encoders:
    input:
        [
            f"{folder}/{file}"
            for experiment in PRETRAINED
            for folder in encoder_folders(experiment)
            for file in ("weights.safetensors", "reconstructions.h5")
        ],
    localrule: True


rule scaling:
    input:
        **by_content(catalog=CATALOG, stamps=SHARDS),
        split="results/splits/{experiment}.parquet",
        code=code("scaling"),
    output:
        "results/splits/{experiment}.scaling.json",
    log:
        "results/logs/scaling/{experiment}.log",
    priority: 200
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        stamps=repeated("stamps"),
        pretrain_on=lambda wildcards: " ".join(
            f"--pretrain-on {subset}" for subset in EXPERIMENTS[wildcards.experiment]["pretrain_on"]
        ),
        settings=as_json(config["scaling"]),
    shell:
        "python -m astromae scaling --catalog {input.catalog} {params.stamps} --split {input.split} "
        "{params.pretrain_on} --settings {params.settings:q} --output {output} 2>&1 | tee {log}"


rule pretrain:
    input:
        **by_content(stamps=SHARDS),
        split="results/splits/{experiment}.parquet",
        scaling="results/splits/{experiment}.scaling.json",
        code=code("pretrain"),
    output:
        weights="results/encoders/{encoder}/{experiment}/seed{seed}/weights.safetensors",
        checksum="results/encoders/{encoder}/{experiment}/seed{seed}/weights.safetensors.sha256",
        history="results/encoders/{encoder}/{experiment}/seed{seed}/history.csv",
        recipe="results/encoders/{encoder}/{experiment}/seed{seed}/recipe.json",
        provenance="results/encoders/{encoder}/{experiment}/seed{seed}/provenance.json",
    log:
        "results/logs/pretrain/{experiment}-{encoder}-seed{seed}.log",
    priority: of_wildcards(ESTIMATES.pretraining_priority)
    conda:
        "../../envs/training.yaml"
    threads: config["training"]["threads"]
    resources:
        **training_job(runtime=TRAINING_MINUTES, expected_s=of_wildcards(ESTIMATES.pretraining_s)),
    params:
        launch=launcher(SETTINGS.training),
        stamps=repeated("stamps"),
        recipe=pretraining_recipe,
        folder=subpath(output.weights, parent=True),
    shell:
        "{params.launch}python -m astromae pretrain {params.stamps} --split {input.split} --scaling {input.scaling} "
        "--recipe {params.recipe:q} --seed {wildcards.seed} --output-dir {params.folder} "
        "--curves results/logs/tensorboard/pretrain/{wildcards.experiment}-{wildcards.encoder}-seed{wildcards.seed} "
        "--minutes {resources.runtime} 2>&1 | tee {log}"


rule reconstruct:
    input:
        **by_content(
            weights="results/encoders/{encoder}/{experiment}/seed{seed}/weights.safetensors",
            stamps=SHARDS,
        ),
        recipe="results/encoders/{encoder}/{experiment}/seed{seed}/recipe.json",
        split="results/splits/{experiment}.parquet",
        scaling="results/splits/{experiment}.scaling.json",
        code=code("reconstruct"),
    output:
        "results/encoders/{encoder}/{experiment}/seed{seed}/reconstructions.h5",
    log:
        "results/logs/reconstruct/{experiment}-{encoder}-seed{seed}.log",
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(3000),
        runtime=minutes(30),
    params:
        encoder=subpath(input.weights, parent=True),
        stamps=repeated("stamps"),
    shell:
        "python -m astromae reconstruct --encoder-dir {params.encoder} {params.stamps} "
        "--split {input.split} --scaling {input.scaling} --seed {wildcards.seed} "
        "--output {output} 2>&1 | tee {log}"


rule features:
    input:
        **by_content(
            weights="results/encoders/{encoder}/{experiment}/seed{seed}/weights.safetensors",
            stamps=SHARDS,
        ),
        split="results/splits/{experiment}.parquet",
        scaling="results/splits/{experiment}.scaling.json",
        code=code("features"),
    output:
        features="results/encoders/{encoder}/{experiment}/seed{seed}/features.h5",
        checksum="results/encoders/{encoder}/{experiment}/seed{seed}/features.h5.sha256",
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
        encoder=subpath(input.weights, parent=True),
        stamps=repeated("stamps"),
        recipe=features_recipe,
    shell:
        "python -m astromae features --encoder-dir {params.encoder} {params.stamps} "
        "--split {input.split} --scaling {input.scaling} --recipe {params.recipe:q} "
        "--seed {wildcards.seed} --output {output.features} 2>&1 | tee {log}"
