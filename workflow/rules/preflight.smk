# What would fail on a cluster, before the first job:  snakemake preflight --profile slurm


rule preflight:
    log:
        "results/logs/preflight.log",
    localrule: True
    conda:
        "../../envs/preflight.yaml"
    params:
        settings=lambda wildcards: as_json(
            {
                "gpus": config["training"]["gpus"],
                "minutes": TRAINING_MINUTES,
                "galaxies": GALAXIES,
                "features_mb": features_to_keep_mb(),
                "addresses": survey.addresses(section),
                "stamp_bytes": STAMPS.stamp_bytes,
                "latency_s": workflow.execution_settings.latency_wait,
                "wait_s": 600,
                "status_command": getattr(workflow.executor_settings, "status_command", None),
            }
        ),
    shell:
        "python -m astromae preflight --settings {params.settings:q} 2>&1 | tee {log}"
