# The paper and the page of results: their sources, and every number, table and figure from the files above.
from dataclasses import asdict

from astromae.documents.inputs import page_inputs


rule paper:
    input:
        source=clone_files("workflow/paper"),
        values=RUN.values,
        figures=[f"results/figures/{name}.pdf" for name in FIGURES],
        tables=["results/tables/realism.csv"] if "realism" in TABLES else [],
        code=code("paper"),
    output:
        output=reported("results/paper/astromae.pdf", "astromae"),
    log:
        "results/logs/paper.log",
    conda:
        "../../envs/paper.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(10),
    params:
        files=step_files,
        step=step_settings(source=in_clone("workflow/paper")),
    shell:
        "python -m astromae paper --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"


rule results_page:
    input:
        unpack(lambda wildcards: page_inputs(RUN)),
        source=clone_files("workflow/report"),
        values=RUN.values,
        figures=[f"results/figures/{name}.png" for name in FIGURES],
        tables=rules.tables.input,
        paper="results/paper/astromae.pdf",
        code=code("results-page"),
    output:
        output=reported("results/report/index.html", "index"),
    log:
        "results/logs/results-page.log",
    conda:
        "../../envs/paper.yaml"
    resources:
        mem_mb=memory_mb(1000),
        runtime=minutes(10),
    params:
        files=step_files,
        step=step_settings(
            source=in_clone("workflow/report"),
            about=lambda wildcards: {name: asdict(shown_product(FIGURES, name)) for name in FIGURES},
        ),
    shell:
        "python -m astromae results-page --params {params.files:q} --params {params.step:q} 2>&1 | tee {log}"
