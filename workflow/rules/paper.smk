# The paper: its source, and every number, table and figure from the files above.


rule paper:
    input:
        text="workflow/paper/astromae.typ",
        source=[str(file) for file in sorted(Path("workflow/paper").rglob("*")) if file.is_file()],
        values=[
            "results/values/survey.json",
            *(f"results/values/{name}.json" for name in EXPERIMENTS),
        ],
        figure=[f"results/figures/{name}.pdf" for name in FIGURES],
        code=code("paper"),
    output:
        "results/paper/astromae.pdf",
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
    shell:
        "python -m astromae paper --source {params.source} {params.values} {params.figures} "
        "--output {output} 2>&1 | tee {log}"
