# Stamps of every galaxy in shards, and the subsets that each experiment deals them to.


rule stamps:
    input:
        SHARDS,
        MISSING,
    localrule: True


if SURVEY == "cube":

    rule cube_shard:
        input:
            **by_content(catalog=CATALOG),
            code=code("cube-shard"),
        output:
            shard="results/stamps/{chunk}.h5",
            checksum="results/stamps/{chunk}.h5.sha256",
            missing="results/stamps/{chunk}.missing.csv",
        log:
            "results/logs/stamps/{chunk}.log",
        conda:
            "../../envs/survey.yaml"
        resources:
            mem_mb=memory_mb(2000),
            runtime=minutes(120),
            expected_s=math.ceil(CORE_S["cube"] * GALAXIES / len(CHUNKS)),
        params:
            path=verbatim(config["cube"]["path"]),
        shell:
            "python -m astromae cube-shard --path {params.path:q} --catalog {input.catalog} "
            "--chunk {wildcards.chunk} --output {output.shard} --missing {output.missing} 2>&1 | tee {log}"

else:

    rule cut:
        input:
            unpack(cut_inputs),
            code=code("cut"),
        output:
            shard="results/stamps/{chunk}.h5",
            checksum="results/stamps/{chunk}.h5.sha256",
            missing="results/stamps/{chunk}.missing.csv",
        log:
            "results/logs/stamps/{chunk}.log",
        priority: 200
        conda:
            "../../envs/survey.yaml"
        threads: config["stamps"]["threads"]
        resources:
            mem_mb=memory_mb(1500),
            runtime=cutting_minutes,
            expected_s=cutting_s,
            downloads=downloads,
        params:
            archive=untracked(ARCHIVE),
            release=config[SURVEY]["release"],
            settings=as_json({"size": config["stamps"]["size"]}),
            download=untracked(as_json(config["sdss"]["download"])),
        shell:
            "python -m astromae cut --catalog {input.catalog} --chunk {wildcards.chunk} "
            "--archive {params.archive:q} --release {params.release} --settings {params.settings:q} "
            "--download {params.download:q} --threads {threads} "
            "--output {output.shard} --missing {output.missing} 2>&1 | tee {log}"


rule split:
    input:
        **by_content(catalog=CATALOG, stamps=SHARDS),
        missing=MISSING,
        code=code("split"),
    output:
        output="results/splits/{experiment}.parquet",
    log:
        "results/logs/split/{experiment}.log",
    priority: 200
    conda:
        "../../envs/survey.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        step=step_parameters(
            fractions=lambda wildcards: EXPERIMENTS[wildcards.experiment]["fractions"],
            seed=lambda wildcards: EXPERIMENTS[wildcards.experiment]["seed"],
            max_missing_fraction=config["stamps"]["max_missing_fraction"],
        ),
    shell:
        "python -m astromae split --params {params.step:q} 2>&1 | tee {log}"
