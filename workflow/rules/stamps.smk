# Stamps of every galaxy in shards, and the subsets that each experiment deals them to.


rule stamps:
    input:
        SHARDS,
        MISSING,
    localrule: True


rule cut:
    input:
        unpack(cut_inputs),
        **CUT_JOB.files,
        code=code(CUT_JOB.step),
    output:
        **CUT_JOB.outputs,
        output="results/stamps/{chunk}.h5",
        checksum="results/stamps/{chunk}.h5.sha256",
        missing="results/stamps/{chunk}.missing.csv",
    log:
        "results/logs/stamps/{chunk}.log",
    priority: 200
    conda:
        "../../envs/survey.yaml"
    threads: config["stamps"]["threads"] if CUT_JOB.threads else 1
    resources:
        mem_mb=memory_mb(CUT_JOB.memory_mb),
        runtime=minutes(CUT_JOB.minutes) if CUT_JOB.minutes else cutting_minutes,
        expected_s=cutting_s,
        downloads=downloads,
    params:
        files=step_files,
        step=step_settings(chunk=lambda wildcards: int(wildcards.chunk), **CUT_JOB.settings),
        # Depends on the resources, and so is not compared (see `step_settings`).
        conduct=lambda wildcards, threads, resources: as_json(
            {**CUT_JOB.untracked, **({"threads": threads} if CUT_JOB.threads else {})}
        ),
    shell:
        f"python -m astromae {CUT_JOB.step} --params {{params.files:q}} --params {{params.step:q}} "
        f"--params {{params.conduct:q}} "
        "2>&1 | tee {log}"


rule stamps_checksum:
    input:
        [f"{shard}.sha256" for shard in SHARDS],
    output:
        SHARDS_CHECKSUM,
    log:
        "results/logs/stamps/checksum.log",
    localrule: True
    conda:
        "../../envs/survey.yaml"
    shell:
        "cat {input:q} > {output:q}.part 2> {log:q} && mv {output:q}.part {output:q}"


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
        files=step_files,
        step=step_settings(
            fractions=lambda wildcards: SETTINGS.sample(wildcards.experiment).fractions,
            seed=lambda wildcards: SETTINGS.sample(wildcards.experiment).seed,
            max_missing_fraction=config["stamps"]["max_missing_fraction"],
        ),
    shell:
        "python -m astromae split --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"
