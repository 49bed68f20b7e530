# What a run of the real survey would download, from SkyServer's own counts:  snakemake downloads --cores 1
DOWNLOADS_JOB = survey.downloads and survey.downloads(section, STAMPS)


rule downloads:
    log:
        "results/logs/downloads.log",
    localrule: True
    conda:
        "../../envs/survey.yaml"
    params:
        files=step_files,
        step=step_settings(**(DOWNLOADS_JOB.settings if DOWNLOADS_JOB else {})),
    shell:
        (
            f"python -m astromae {DOWNLOADS_JOB.step} --params {{params.files:q}} "
            f"--params {{params.step:q}} 2>&1 | tee {{log}}"
            if DOWNLOADS_JOB
            else f"echo 'survey: {SURVEY} downloads nothing.' | tee {{log}}"
        )
