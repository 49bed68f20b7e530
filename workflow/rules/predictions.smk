# Predictions for a list of one's own, chunk by chunk, each a job:
#   snakemake --cores all predictions --config predict=galaxies.csv model=results/models/experiment1/pcm-astromae/seed42
from astromae.asking.chunks import chunks_of, name_of
from astromae.asking.identity import identity_of, sources_of_model

LISTED, ASKED_MODEL = Path(config["predict"]), Path(config["model"])
ASKED = f"results/predictions/{name_of(LISTED)}"
try:
    LISTED_CHUNKS = chunks_of(LISTED, Path(ASKED, "counts.json"))
    MODEL_IDENTITY, MODEL_SOURCES = identity_of(ASKED_MODEL), sources_of_model(ASKED_MODEL)
except InputError as error:
    raise WorkflowError(str(error)) from None
SDSS = SETTINGS.section("sdss")


rule predictions:
    input:
        f"{ASKED}.parquet",
    localrule: True


rule predict_catalog:
    input:
        table=str(LISTED),
        code=code("user-catalog"),
    output:
        output=f"{ASKED}/galaxies.parquet",
        checksum=f"{ASKED}/galaxies.parquet.sha256",
    log:
        "results/logs/predict/catalog.log",
    conda:
        "../../envs/survey.yaml"
    resources:
        mem_mb=memory_mb(4000),
        runtime=minutes(240),
    params:
        files=step_files,
        step=step_settings(server=SDSS.server, release=SDSS.release, chunks=LISTED_CHUNKS),
        conduct=untracked(as_json({"pace": SDSS.pace})),
    shell:
        "python -m astromae user-catalog --params {params.files:q} --params {params.step:q} "
        "--params {params.conduct:q} "
        "2>&1 | tee {log}"


rule predict_chunk:
    input:
        **by_content(catalog=f"{ASKED}/galaxies.parquet"),
        code=code("predict-chunk", *MODEL_SOURCES),
    output:
        output=f"{ASKED}/{{part}}.answers.parquet",
    log:
        "results/logs/predict/{part}.log",
    wildcard_constraints:
        part=r"\d{6}",
    conda:
        "../../envs/predictions.yaml"
    threads: config["stamps"]["threads"]
    resources:
        mem_mb=memory_mb(3000),
        runtime=minutes(120),
        downloads=lambda wildcards, threads: threads if is_remote(SDSS.archive) else 0,
    params:
        files=step_files,
        step=step_settings(
            chunk=lambda wildcards: int(wildcards.part),
            chunks=LISTED_CHUNKS,
            model=config["model"],
            release=SDSS.release,
        ),
        # Another model under the same name asks again.
        identity=MODEL_IDENTITY,
        conduct=lambda wildcards, threads, resources: as_json(
            {"archive": SDSS.archive, "download": SDSS.download, "threads": threads}
        ),
    shell:
        "python -m astromae predict-chunk --params {params.files:q} --params {params.step:q} "
        "--params {params.conduct:q} "
        "2>&1 | tee {log}"


rule predict_join:
    input:
        parts=[f"{ASKED}/{chunk:06d}.answers.parquet" for chunk in range(LISTED_CHUNKS + 1)],
        table=str(LISTED),
        code=code("predict-join"),
    output:
        output=f"{ASKED}.parquet",
    log:
        "results/logs/predict/join.log",
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=memory_mb(4000),
        runtime=minutes(60),
    params:
        files=step_files,
    shell:
        "python -m astromae predict-join --params {params.files:q} 2>&1 | tee {log}"
