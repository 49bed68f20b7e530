# Tables, the numbers that the paper quotes, and figures: all from predictions, histories, provenance and samples.


rule tables:
    input:
        [
            f"results/tables/{experiment['table']}.{suffix}"
            for experiment in EXPERIMENTS.values()
            for suffix in ("csv", "tex")
        ],
        "results/tables/models.json",
        "results/tables/cost.csv",
        "results/tables/cost.tex",
        [f"results/tables/realism.{suffix}" for suffix in ("csv", "tex") if SURVEY == "embedded"],


rule figures:
    input:
        [f"results/figures/{name}.{suffix}" for name in FIGURES for suffix in ("pdf", "png")],


rule table:
    input:
        predictions=lambda wildcards: predictions_of(experiment_of(wildcards.table)),
        code=code("table"),
    output:
        csv=reported("results/tables/{table}.csv"),
        tex=reported("results/tables/{table}.tex"),
    log:
        "results/logs/table/{table}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        predictions=repeated("predictions"),
        settings=as_json(config["evaluation"]),
    shell:
        "python -m astromae table --name {wildcards.table} {params.predictions} "
        "--settings {params.settings:q} --output-csv {output.csv} --output-tex {output.tex} 2>&1 | tee {log}"


rule cost_table:
    input:
        provenance=[file for name in EXPERIMENTS for file in provenance_of(name)],
        networks="results/tables/networks.json",
        code=code("cost-table"),
    output:
        csv=reported("results/tables/cost.csv"),
        tex=reported("results/tables/cost.tex"),
    log:
        "results/logs/table/cost.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        provenance=repeated("provenance"),
        titles=verbatim(as_json({name: settings["title"] for name, settings in EXPERIMENTS.items()})),
    shell:
        "python -m astromae cost-table {params.provenance} --networks {input.networks} "
        "--titles {params.titles:q} --output-csv {output.csv} --output-tex {output.tex} 2>&1 | tee {log}"


rule realism_table:
    input:
        sample="results/samples/realism.h5",
        code=code("realism-table"),
    output:
        csv=reported("results/tables/realism.csv"),
        tex=reported("results/tables/realism.tex"),
    log:
        "results/logs/table/realism.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    shell:
        "python -m astromae realism-table --sample {input.sample} "
        "--output-csv {output.csv} --output-tex {output.tex} 2>&1 | tee {log}"


rule values_experiment:
    input:
        split="results/splits/{experiment}.parquet",
        table=lambda wildcards: f"results/tables/{EXPERIMENTS[wildcards.experiment]['table']}.csv",
        models="results/tables/models.json",
        costs="results/tables/cost.csv",
        predictions=lambda wildcards: predictions_of(wildcards.experiment),
        provenance=lambda wildcards: provenance_of(wildcards.experiment),
        code=code("values-experiment"),
    output:
        "results/values/{experiment}.json",
    log:
        "results/logs/values/{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(30),
    params:
        settings=lambda wildcards: as_json(EXPERIMENTS[wildcards.experiment]),
        evaluation=as_json(config["evaluation"]),
        predictions=repeated("predictions"),
        provenance=repeated("provenance"),
    shell:
        "python -m astromae values-experiment --experiment {wildcards.experiment} "
        "--settings {params.settings:q} --evaluation {params.evaluation:q} --split {input.split} "
        "--table {input.table} --models {input.models} --costs {input.costs} {params.predictions} "
        "{params.provenance} --output {output} 2>&1 | tee {log}"


rule figure_stamps:
    input:
        sample="results/samples/stamps.h5",
        code=code("figure-stamps"),
    output:
        pdf=reported("results/figures/stamps.pdf"),
        png=reported("results/figures/stamps.png"),
    log:
        "results/logs/figures/stamps.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    shell:
        "python -m astromae figure-stamps --sample {input.sample} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_realism:
    input:
        sample="results/samples/realism.h5",
        code=code("figure-realism"),
    output:
        pdf=reported("results/figures/realism.pdf"),
        png=reported("results/figures/realism.png"),
    log:
        "results/logs/figures/realism.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        real=["--real-stamps", config["embedded"]["real_stamps"]] if config["embedded"]["real_stamps"] else [],
    shell:
        "python -m astromae figure-realism --sample {input.sample} {params.real:q} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_learning_rate:
    input:
        history=learning_rate_history,
        code=code("figure-learning-rate"),
    output:
        pdf=reported("results/figures/learning-rate-{phase}-{experiment}.pdf"),
        png=reported("results/figures/learning-rate-{phase}-{experiment}.png"),
    log:
        "results/logs/figures/learning-rate-{phase}-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    shell:
        "python -m astromae figure-learning-rate --phase {wildcards.phase} "
        "--experiment {wildcards.experiment} --history {input.history} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_reconstructions:
    input:
        reconstructions=lambda wildcards: [
            f"{folder}/reconstructions.h5" for folder in encoder_folders(wildcards.experiment, SEEDS[:1])
        ],
        code=code("figure-reconstructions"),
    output:
        pdf=reported("results/figures/reconstructions-{experiment}.pdf"),
        png=reported("results/figures/reconstructions-{experiment}.png"),
    log:
        "results/logs/figures/reconstructions-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        encoders=lambda wildcards: named("encoder", encoders_of(wildcards.experiment)),
        reconstructions=repeated("reconstructions"),
    shell:
        "python -m astromae figure-reconstructions {params.encoders} {params.reconstructions} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_pretraining:
    input:
        history=lambda wildcards: [f"{folder}/history.csv" for folder in encoder_folders(wildcards.experiment)],
        code=code("figure-pretraining"),
    output:
        pdf=reported("results/figures/pretraining-{experiment}.pdf"),
        png=reported("results/figures/pretraining-{experiment}.png"),
    log:
        "results/logs/figures/pretraining-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        encoders=lambda wildcards: named("encoder", encoders_of(wildcards.experiment), each=len(SEEDS)),
        histories=repeated("history"),
    shell:
        "python -m astromae figure-pretraining {params.encoders} {params.histories} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_finetuning:
    input:
        history=lambda wildcards: [f"{folder}/history.csv" for folder in redshift_folders(wildcards.experiment)],
        code=code("figure-finetuning"),
    output:
        pdf=reported("results/figures/finetuning-{experiment}.pdf"),
        png=reported("results/figures/finetuning-{experiment}.png"),
    log:
        "results/logs/figures/finetuning-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        models=lambda wildcards: named("model", EXPERIMENTS[wildcards.experiment]["models"], each=len(SEEDS)),
        histories=repeated("history"),
    shell:
        "python -m astromae figure-finetuning {params.models} {params.histories} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_density:
    input:
        predictions=lambda wildcards: predictions_of(DENSITY[wildcards.part][0]),
        code=code("figure-density"),
    output:
        pdf=reported("results/figures/density-{part}.pdf"),
        png=reported("results/figures/density-{part}.png"),
    log:
        "results/logs/figures/density-{part}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        predictions=repeated("predictions"),
        groups=lambda wildcards: named("group", DENSITY[wildcards.part][1]),
    shell:
        "python -m astromae figure-density {params.predictions} {params.groups} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_published:
    input:
        table="results/tables/{table}.csv",
        code=code("figure-published"),
    output:
        pdf=reported("results/figures/published-{table}.pdf"),
        png=reported("results/figures/published-{table}.png"),
    log:
        "results/logs/figures/published-{table}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    shell:
        "python -m astromae figure-published --table {input.table} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_residuals:
    input:
        predictions=lambda wildcards: predictions_of(wildcards.experiment),
        magnitudes="results/samples/magnitudes-{experiment}.parquet",
        code=code("figure-residuals"),
    output:
        pdf=reported("results/figures/residuals-{experiment}.pdf"),
        png=reported("results/figures/residuals-{experiment}.png"),
    log:
        "results/logs/figures/residuals-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        predictions=repeated("predictions"),
        settings=as_json(config["evaluation"]),
    shell:
        "python -m astromae figure-residuals {params.predictions} --magnitudes {input.magnitudes} --settings {params.settings:q} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_worst:
    input:
        sample="results/samples/worst-{experiment}.h5",
        code=code("figure-worst"),
    output:
        pdf=reported("results/figures/worst-{experiment}.pdf"),
        png=reported("results/figures/worst-{experiment}.png"),
    log:
        "results/logs/figures/worst-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        crop=config["scaling"]["crop"],
    shell:
        "python -m astromae figure-worst --sample {input.sample} --crop {params.crop} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_labels:
    input:
        table=[f"results/tables/{settings['table']}.csv" for settings in EXPERIMENTS.values()],
        code=code("figure-labels"),
    output:
        pdf=reported("results/figures/labels.pdf"),
        png=reported("results/figures/labels.png"),
    log:
        "results/logs/figures/labels.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        tables=repeated("table"),
    shell:
        "python -m astromae figure-labels {params.tables} " "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_loss_time:
    input:
        provenance=lambda wildcards: trained_files(wildcards.experiment, "provenance.json"),
        history=lambda wildcards: trained_files(wildcards.experiment, "history.csv"),
        code=code("figure-loss-time"),
    output:
        pdf=reported("results/figures/loss-time-{experiment}.pdf"),
        png=reported("results/figures/loss-time-{experiment}.png"),
    log:
        "results/logs/figures/loss-time-{experiment}.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        provenance=repeated("provenance"),
        histories=repeated("history"),
    shell:
        "python -m astromae figure-loss-time {params.provenance} {params.histories} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_autoencoder:
    input:
        networks="results/tables/networks.json",
        code=code("figure-autoencoder"),
    output:
        pdf=reported("results/figures/scheme-autoencoder.pdf"),
        png=reported("results/figures/scheme-autoencoder.png"),
    log:
        "results/logs/figures/scheme-autoencoder.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        encoders=" ".join(f"--encoder {encoder} --mask-ratio {ratio}" for encoder, ratio in MASKED),
    shell:
        "python -m astromae figure-autoencoder --networks {input.networks} {params.encoders} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_inception:
    input:
        networks="results/tables/networks.json",
        code=code("figure-inception"),
    output:
        pdf=reported("results/figures/scheme-inception.pdf"),
        png=reported("results/figures/scheme-inception.png"),
    log:
        "results/logs/figures/scheme-inception.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    shell:
        "python -m astromae figure-inception --networks {input.networks} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"


rule figure_models:
    input:
        networks="results/tables/networks.json",
        code=code("figure-models"),
    output:
        pdf=reported("results/figures/scheme-models.pdf"),
        png=reported("results/figures/scheme-models.png"),
    log:
        "results/logs/figures/scheme-models.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(2000),
        runtime=minutes(20),
    params:
        models=named("model", USED_MODELS),
    shell:
        "python -m astromae figure-models --networks {input.networks} {params.models} "
        "--pdf {output.pdf} --png {output.png} 2>&1 | tee {log}"
