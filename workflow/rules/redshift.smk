# Redshifts: one run for each experiment, model and seed, and the classical method beside them.


rule redshifts:
    input:
        [file for experiment in EXPERIMENTS for file in RUN.predictions(experiment)],
    localrule: True


rule redshift:
    input:
        unpack(redshift_inputs),
        split="results/splits/{experiment}.parquet",
        scaling="results/splits/{experiment}.scaling.json",
        code=code("redshift"),
    output:
        predictions="results/redshifts/{experiment}/{model}/seed{seed}/predictions.parquet",
        weights="results/redshifts/{experiment}/{model}/seed{seed}/weights.safetensors",
        history="results/redshifts/{experiment}/{model}/seed{seed}/history.csv",
        recipe="results/redshifts/{experiment}/{model}/seed{seed}/recipe.json",
        provenance="results/redshifts/{experiment}/{model}/seed{seed}/provenance.json",
    log:
        "results/logs/redshift/{experiment}-{model}-seed{seed}.log",
    priority: redshift_priority
    conda:
        "../../envs/training.yaml"
    threads: config["training"]["threads"]
    resources:
        **training_job(mem_mb=training_mb(max(1, GPUS)), runtime=720, expected_s=redshift_s),
    params:
        launch=launcher(),
        stamps=repeated("stamps"),
        pretrained=pretrained_options,
        recipe=redshift_recipe,
        folder=subpath(output.predictions, parent=True),
    shell:
        "{params.launch}python -m astromae redshift --catalog {input.catalog} {params.stamps} --split {input.split} "
        "--scaling {input.scaling} {params.pretrained} --recipe {params.recipe:q} "
        "--curves results/logs/tensorboard/redshift/{wildcards.experiment}-{wildcards.model}-seed{wildcards.seed} "
        "--seed {wildcards.seed} --output-dir {params.folder} --minutes {resources.runtime} "
        "2>&1 | tee {log}"


rule boost:
    input:
        **by_content(catalog=CATALOG),
        split="results/splits/{experiment}.parquet",
        code=code("boost"),
    output:
        predictions="results/redshifts/{experiment}/hgb-magnitudes/seed{seed}/predictions.parquet",
        recipe="results/redshifts/{experiment}/hgb-magnitudes/seed{seed}/recipe.json",
        provenance="results/redshifts/{experiment}/hgb-magnitudes/seed{seed}/provenance.json",
    log:
        "results/logs/boost/{experiment}-seed{seed}.log",
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        recipe=lambda wildcards: as_json(
            {
                "experiment": wildcards.experiment,
                "model": "hgb-magnitudes",
                "group": "classical",
            }
        ),
        folder=subpath(output.predictions, parent=True),
    shell:
        "python -m astromae boost --catalog {input.catalog} --split {input.split} "
        "--recipe {params.recipe:q} --seed {wildcards.seed} --output-dir {params.folder} 2>&1 | tee {log}"
