# The embedded survey's frames, which stand in for the archive.
from dataclasses import asdict

from astromae.survey.embedded import frames_folder


rule frames:
    input:
        **by_content(catalog=CATALOG),
        code=code("frames"),
    output:
        output=directory(frames_folder(section, "{run}", "{camcol}")),
        checksum=f"{frames_folder(section, '{run}', '{camcol}')}.sha256",
    log:
        "results/logs/frames/{run}-{camcol}.log",
    priority: 200
    conda:
        "../../envs/survey.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(60),
        expected_s=ESTIMATES.drawing_s(len(section.simulation.strips)),
    params:
        files=step_files,
        step=step_settings(
            run=lambda wildcards: int(wildcards.run),
            camcol=lambda wildcards: int(wildcards.camcol),
            settings=asdict(section.simulation),
        ),
    shell:
        "python -m astromae frames --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"
