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
        config=as_json({key: config[key] for key in ("models", "backbones", "scaling")}),
    shell:
        "python -m astromae models --config <(echo {params.config:q}) --json --output {output} 2>&1 | tee {log}"


rule values_survey:
    input:
        catalog=CATALOG,
        stamps=SHARDS,
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
        catalog=CATALOG,
        stamps=SHARDS,
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
