# Small files from stamps, catalogue and networks. Tables, figures and the paper read these instead, so that
# they can be made again where there are neither pixels nor torch.


rule models:
    input:
        code=code("models"),
    output:
        reported("results/tables/models.json"),
    log:
        "results/logs/models.log",
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(10),
    params:
        settings=as_json({key: config[key] for key in ("models", "backbones", "scaling")}),
    shell:
        "python -m astromae models --settings {params.settings:q} --json --output {output} 2>&1 | tee {log}"


rule values_survey:
    input:
        **by_content(catalog=CATALOG, stamps=SHARDS),
        missing=MISSING,
        code=code("values-survey"),
    output:
        "results/values/survey.json",
    log:
        "results/logs/values/survey.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        stamps=repeated("stamps"),
        missing=repeated("missing"),
    shell:
        "python -m astromae values-survey --catalog {input.catalog} {params.stamps} {params.missing} "
        "--output {output} 2>&1 | tee {log}"


rule sample_stamps:
    input:
        **by_content(catalog=CATALOG, stamps=SHARDS),
        code=code("sample-stamps"),
    output:
        "results/samples/stamps.h5",
    log:
        "results/logs/samples/stamps.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        stamps=repeated("stamps"),
    shell:
        "python -m astromae sample-stamps --catalog {input.catalog} {params.stamps} "
        "--output {output} 2>&1 | tee {log}"


rule sample_realism:
    input:
        **by_content(stamps=SHARDS),
        code=code("sample-realism"),
    output:
        "results/samples/realism.h5",
    log:
        "results/logs/samples/realism.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        stamps=repeated("stamps"),
    shell:
        "python -m astromae sample-realism {params.stamps} --output {output} 2>&1 | tee {log}"


rule networks:
    input:
        code=code("networks"),
    output:
        "results/tables/networks.json",
    log:
        "results/logs/networks.log",
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        settings=as_json({key: config[key] for key in ("models", "backbones", "decoder", "scaling")}),
    shell:
        "python -m astromae networks --settings {params.settings:q} --output {output} 2>&1 | tee {log}"


rule sample_magnitudes:
    input:
        **by_content(catalog=CATALOG),
        split="results/splits/{experiment}.parquet",
        code=code("sample-magnitudes"),
    output:
        "results/samples/magnitudes-{experiment}.parquet",
    log:
        "results/logs/samples/magnitudes-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    shell:
        "python -m astromae sample-magnitudes --catalog {input.catalog} --split {input.split} "
        "--output {output} 2>&1 | tee {log}"


rule sample_worst:
    input:
        **by_content(stamps=SHARDS),
        predictions=lambda wildcards: [
            f"{folder}/predictions.parquet"
            for folder in redshift_folders(wildcards.experiment, astromae_models(wildcards.experiment))
        ],
        code=code("sample-worst"),
    output:
        "results/samples/worst-{experiment}.h5",
    log:
        "results/logs/samples/worst-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        predictions=repeated("predictions"),
        stamps=repeated("stamps"),
    shell:
        "python -m astromae sample-worst {params.predictions} {params.stamps} --output {output} 2>&1 | tee {log}"
