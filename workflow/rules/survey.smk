# The catalogue of galaxies, and for the embedded survey the frames that stand in for the archive.

if SURVEY == "embedded":

    rule catalog:
        input:
            code=code("catalog"),
        output:
            catalog=CATALOG,
            checksum=f"{CATALOG}.sha256",
        log:
            "results/logs/catalog.log",
        conda:
            "../../envs/survey.yaml"
        resources:
            mem_mb=memory_mb(2000),
            runtime=minutes(10),
        params:
            settings=as_json(EMBEDDED),
        shell:
            "python -m astromae catalog --settings {params.settings:q} --output {output.catalog} 2>&1 | tee {log}"

    rule frames:
        input:
            **by_content(catalog=CATALOG),
            code=code("frames"),
        output:
            frames=directory(frames_folder("{run}", "{camcol}")),
            checksum=f"{frames_folder('{run}', '{camcol}')}.sha256",
        log:
            "results/logs/frames/{run}-{camcol}.log",
        priority: 200
        conda:
            "../../envs/survey.yaml"
        resources:
            mem_mb=memory_mb(2000),
            runtime=minutes(60),
            expected_s=math.ceil(CORE_S["frames"] * GALAXIES / len(STRIPS)),
        params:
            settings=as_json(EMBEDDED),
        shell:
            "python -m astromae frames --catalog {input.catalog} --run {wildcards.run} "
            "--camcol {wildcards.camcol} --settings {params.settings:q} --output {output.frames} 2>&1 | tee {log}"

elif SURVEY == "sdss" and config["sdss"]["table"] is None:

    rule sdss_partition:
        input:
            code=code("sdss-partition"),
        output:
            partition="results/catalog/partitions/{partition}.parquet",
            checksum="results/catalog/partitions/{partition}.parquet.sha256",
        log:
            "results/logs/sdss-partition/{partition}.log",
        conda:
            "../../envs/survey.yaml"
        resources:
            mem_mb=memory_mb(1000),
            runtime=minutes(120),
        params:
            partitions=config["sdss"]["partitions"],
            settings=verbatim(as_json(SDSS_SELECTION)),
            http=untracked(as_json(SDSS_HTTP)),
        shell:
            "python -m astromae sdss-partition --partition {wildcards.partition} "
            "--partitions {params.partitions} --settings {params.settings:q} --http {params.http:q} "
            "--output {output.partition} 2>&1 | tee {log}"

    rule catalog:
        input:
            **by_content(
                partition=[
                    f"results/catalog/partitions/{partition}.parquet"
                    for partition in range(config["sdss"]["partitions"])
                ]
            ),
            code=code("sdss-merge"),
        output:
            catalog=CATALOG,
            checksum=f"{CATALOG}.sha256",
            sql="results/catalog/galaxies.sql",
        log:
            "results/logs/catalog.log",
        conda:
            "../../envs/survey.yaml"
        resources:
            mem_mb=memory_mb(4000),
            runtime=minutes(30),
        params:
            partitions=repeated("partition"),
            chunks=config["sdss"]["chunks"],
        shell:
            "python -m astromae sdss-merge {params.partitions} --chunks {params.chunks} "
            "--output {output.catalog} 2>&1 | tee {log}"

elif SURVEY == "sdss":

    rule catalog:
        input:
            table=config["sdss"]["table"],
            code=code("user-catalog"),
        output:
            catalog=CATALOG,
            checksum=f"{CATALOG}.sha256",
        log:
            "results/logs/catalog.log",
        conda:
            "../../envs/survey.yaml"
        resources:
            mem_mb=memory_mb(4000),
            runtime=minutes(240),
        params:
            settings=verbatim(as_json(SDSS_SELECTION)),
            http=untracked(as_json(SDSS_HTTP)),
            chunks=len(CHUNKS),
        shell:
            "python -m astromae user-catalog --table {input.table:q} --settings {params.settings:q} "
            "--http {params.http:q} --chunks {params.chunks} --output {output.catalog} 2>&1 | tee {log}"

elif SURVEY == "cube":

    # The cube is a parameter, not an input: a plan needs no data, and the command says which file it
    # wants and where it is published.
    rule catalog:
        input:
            code=code("cube-catalog"),
        output:
            catalog=CATALOG,
            checksum=f"{CATALOG}.sha256",
        log:
            "results/logs/catalog.log",
        conda:
            "../../envs/survey.yaml"
        resources:
            mem_mb=memory_mb(4000),
            runtime=minutes(60),
        params:
            path=verbatim(config["cube"]["path"]),
            chunks=config["cube"]["chunks"],
        shell:
            "python -m astromae cube-catalog --path {params.path:q} --chunks {params.chunks} "
            "--output {output.catalog} 2>&1 | tee {log}"
