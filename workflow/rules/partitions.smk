# The real survey's selection, fetched from SkyServer in ranges of right ascension.
from astromae.survey.sdss import partition_file


rule sdss_partition:
    input:
        code=code("sdss-partition"),
    output:
        output=partition_file("{partition}"),
        checksum=f"{partition_file('{partition}')}.sha256",
    log:
        "results/logs/sdss-partition/{partition}.log",
    conda:
        "../../envs/survey.yaml"
    resources:
        mem_mb=memory_mb(1000),
        runtime=minutes(120),
    params:
        files=step_files,
        step=step_settings(
            partition=lambda wildcards: int(wildcards.partition),
            partitions=section.partitions,
            sample=section.sample,
        ),
        conduct=untracked(as_json({"pace": section.pace})),
    shell:
        "python -m astromae sdss-partition --params {params.files:q} --params {params.step:q} "
        "--params {params.conduct:q} 2>&1 | tee {log}"
