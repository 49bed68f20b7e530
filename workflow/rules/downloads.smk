# What the real survey's run would download, from SkyServer's own counts:  snakemake downloads --cores 1


rule downloads:
    log:
        "results/logs/downloads.log",
    localrule: True
    conda:
        "../../envs/survey.yaml"
    params:
        settings=as_json(
            {
                "survey": SURVEY,
                "selection": SDSS_SELECTION,
                "http": SDSS_HTTP,
                **{key: config["sdss"][key] for key in ("expected", "table", "archive", "partitions", "download")},
            }
        ),
        catalog=CATALOG,
        counted=COUNTED,
    shell:
        "python -m astromae downloads --settings {params.settings:q} --catalog {params.catalog:q} "
        "--counted {params.counted:q} 2>&1 | tee {log}"
