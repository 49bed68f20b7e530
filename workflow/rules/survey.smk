# The catalogue of galaxies, by the step that the survey names. What else a survey makes has rules of its own.
CATALOG_JOB = survey.catalog(section)


rule catalog:
    input:
        **by_content(**CATALOG_JOB.inputs),
        **CATALOG_JOB.files,
        code=code(CATALOG_JOB.step),
    output:
        **CATALOG_JOB.outputs,
        output=CATALOG,
        checksum=f"{CATALOG}.sha256",
    log:
        "results/logs/catalog.log",
    conda:
        "../../envs/survey.yaml"
    resources:
        mem_mb=memory_mb(CATALOG_JOB.memory_mb),
        runtime=minutes(CATALOG_JOB.minutes),
    params:
        files=step_files,
        step=step_settings(**CATALOG_JOB.settings),
        conduct=untracked(as_json(CATALOG_JOB.untracked)),
    shell:
        f"python -m astromae {CATALOG_JOB.step} --params {{params.files:q}} --params {{params.step:q}} "
        f"--params {{params.conduct:q}} "
        "2>&1 | tee {log}"


if survey.rules:

    include: survey.rules
