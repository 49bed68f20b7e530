# Small files from stamps, catalogue and networks. Tables, figures and the paper read these instead, so that
# they can be made again where there are neither pixels nor torch.


rule values_survey:
    input:
        **by_content(catalog=CATALOG, stamps=SHARDS),
        missing=MISSING,
        code=code("values-survey"),
    output:
        output="results/values/survey.json",
    log:
        "results/logs/values/survey.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        files=step_files,
        step=step_settings(title=SURVEYS[SURVEY].title, is_simulated=SURVEYS[SURVEY].simulated),
    shell:
        "python -m astromae values-survey --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule networks:
    input:
        code=code("networks", *configured_recipes.network_sources(SETTINGS)),
    output:
        networks="results/tables/networks.json",
        models=reported("results/tables/models.json", "models"),
    log:
        "results/logs/networks.log",
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        files=step_files,
        step=step_settings(configuration=configured_recipes.networks_of(SETTINGS), bands=len(STAMPS.bands)),
    shell:
        "python -m astromae networks --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule sample:
    input:
        unpack(lambda wildcards: with_checksums(SAMPLES[wildcards.sample].inputs)),
        code=lambda wildcards: code("sample", *SAMPLES[wildcards.sample].sources),
    output:
        output="results/samples/{sample}",
    log:
        "results/logs/samples/{sample}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        files=step_files,
        step=step_settings(family=lambda wildcards: SAMPLES[wildcards.sample].family),
        settings=lambda wildcards: as_json(SAMPLES[wildcards.sample].settings),
    shell:
        "python -m astromae sample --params {params.files:q} --params {params.step:q} "
        "--params {params.settings:q} 2>&1 | tee {log}"
