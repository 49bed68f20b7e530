# The paper and the page of results: their sources, and every number, table and figure from the files above.


rule paper:
    input:
        text=in_clone("workflow/paper/astromae.typ"),
        source=[in_clone(file) for file in sorted(PACKAGE_ROOT.joinpath("paper").rglob("*")) if file.is_file()],
        values=[
            "results/values/survey.json",
            *(f"results/values/{name}.json" for name in EXPERIMENTS),
        ],
        figure=[f"results/figures/{name}.pdf" for name in FIGURES],
        table=["results/tables/realism.csv"] if SURVEY == "embedded" else [],
        code=code("paper"),
    output:
        reported("results/paper/astromae.pdf"),
    log:
        "results/logs/paper.log",
    conda:
        "../../envs/paper.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(10),
    params:
        source=subpath(input.text, parent=True),
        values=repeated("values"),
        figures=repeated("figure"),
        tables=repeated("table"),
    shell:
        "python -m astromae paper --source {params.source:q} {params.values} {params.figures} {params.tables} "
        "--output {output} 2>&1 | tee {log}"


rule results_page:
    input:
        template=in_clone("workflow/report/page.html.jinja"),
        source=[in_clone(file) for file in sorted(PACKAGE_ROOT.joinpath("report").rglob("*")) if file.is_file()],
        values=[
            "results/values/survey.json",
            *(f"results/values/{name}.json" for name in EXPERIMENTS),
        ],
        figure=[f"results/figures/{name}.png" for name in FIGURES],
        table=rules.tables.input,
        paper=rules.paper.output,
        code=code("results-page"),
    output:
        reported("results/report/index.html"),
    log:
        "results/logs/results-page.log",
    conda:
        "../../envs/paper.yaml"
    resources:
        mem_mb=memory_mb(1000),
        runtime=minutes(10),
    params:
        source=subpath(input.template, parent=True),
        values=repeated("values"),
        figures=repeated("figure"),
        about=lambda wildcards: as_json(about_figures()),
        tables=repeated("table"),
    shell:
        "python -m astromae results-page --source {params.source:q} {params.values} {params.figures} "
        "--about {params.about:q} {params.tables} --paper {input.paper} --output {output} 2>&1 | tee {log}"
