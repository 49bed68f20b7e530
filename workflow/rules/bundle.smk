# One archive of all that tables, figures and the paper are made from:  make bundle
import json


rule bundle:
    input:
        files=BUNDLED,
        code=code("bundle"),
    output:
        output="results/bundle.tar",
    log:
        "results/logs/bundle.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(1000),
        runtime=minutes(20),
    params:
        files=step_files,
        # In the configuration's own order, which is that of rows and panels. In a plain text Snakemake would take braces
        # for wildcards.
        configuration=lambda wildcards: json.dumps(
            {"configuration": {key: value for key, value in config.items() if key != "bundle"}}
        ),
    shell:
        "python -m astromae bundle --params {params.files:q} --params {params.configuration:q} 2>&1 | tee {log}"
