# What would fail on a cluster, before the first job:  snakemake preflight --profile slurm


rule preflight:
    log:
        "results/logs/preflight.log",
    localrule: True
    conda:
        "../../envs/preflight.yaml"
    params:
        files=step_files,
        step=step_settings(
            demands=lambda wildcards: {
                "gpus": GPUS,
                "minutes": TRAINING_MINUTES,
                "galaxies": COUNTS.galaxies,
                "stamp_bytes": STAMPS.stamp_bytes,
                "features_mb": ESTIMATES.all_features_mb(),
                "addresses": survey.addresses(section),
                "latency_s": workflow.execution_settings.latency_wait,
                "wait_s": 600,
                "status_command": getattr(workflow.executor_settings, "status_command", None),
            }
        ),
    shell:
        "python -m astromae preflight --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"
