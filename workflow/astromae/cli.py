"""The command line: a subcommand for each step of the workflow, and a few for people.

Modules are imported inside the commands, so that `astromae --help` is quick and a plotting
environment needs no torch.
"""

import errno
import json
import os
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from astromae.errors import InputError, Interrupted
from astromae.plugins import load_plugins_of_run
from astromae.progress import log
from astromae.steps import STEPS, run_step

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="AstroMAE: what people ask of it. The steps of the workflow are commands too, listed in docs/development.md.",
)


ConfigFile = Annotated[
    Path | None, typer.Option(help="Preset or configuration of your own, laid over config.yaml as Snakemake does.")
]


@app.command()
def realism(
    stamps: Annotated[Path, typer.Option(help="Folder of real stamps: .npy files of 64 x 64 pixels in u, g, r, i, z.")],
    output: Annotated[Path, typer.Option(help="Measurements to write (CSV).")],
) -> None:
    """Measure real stamps: concentration, asymmetry, flux of neighbours, sky noise."""
    from astromae.evaluation.realism import write_measurements

    write_measurements(stamps, output)


@app.command()
def export(
    source: Annotated[
        Path, typer.Argument(help="A model's folder; or its predictions.parquet, of a task with distributions.")
    ],
    target: Annotated[
        Path | None, typer.Argument(help="Archive of the model (.zip), or file of qp (HDF5), to write.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The same, as an option.")] = None,
    subset: Annotated[str, typer.Option(help="Galaxies of a file of qp: test or val.")] = "test",
) -> None:
    """Write a model as an archive to share, or its redshift distributions as a file of qp, which RAIL reads."""
    if (target is None) == (output is None):
        raise InputError("export: name one file to write, for example: astromae export MODEL model.zip")
    if source.is_dir():
        from astromae.asking.export import export_model

        export_model(source, target or output)
    else:
        from astromae.contracts.qp_file import export_qp

        export_qp(source, target or output, subset)


Bands = Annotated[str | None, typer.Option(help="Bands of the stamps in their order, if not the model's.")]
Unit = Annotated[str, typer.Option(help="Unit of their pixels.")]


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model, or an archive of one.")],
    given: Annotated[
        Path,
        typer.Argument(
            metavar="LIST", help="Your galaxies: a table with ra and dec, or stamps (HDF5, FITS, .npy, .npz, a folder)."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write: .parquet, .csv, .ecsv or .fits.")],
    also: Annotated[
        list[Path] | None,
        typer.Option("--also", help="A further model, or another seed, to be mixed with; repeatable."),
    ] = None,
    pdf: Annotated[Path | None, typer.Option(help="File of qp to write, with whole distributions (HDF5).")] = None,
    bands: Bands = None,
    unit: Unit = "nanomaggies",
    symmetries: Annotated[bool, typer.Option(help="Average over the eight symmetries of a stamp.")] = False,
    config: ConfigFile = None,
    gpus: Annotated[int, typer.Option(min=0, max=1, help="1 to predict on a GPU.")] = 0,
) -> None:
    """Predict the redshifts, or whatever a model has learnt, of your own galaxies."""
    from astromae.asking.ask import Question, predict_galaxies
    from astromae.asking.sources import place_of
    from astromae.contracts.stamp_format import split_bands

    question = Question(split_bands(bands) if bands else None, unit, symmetries, gpus)
    print(predict_galaxies([model, *(also or [])], given, output, place_of(given, config), question, pdf))


Embedded = Annotated[Path, typer.Argument(help="Embeddings that `astromae embed` wrote.")]
Most = Annotated[int, typer.Option("-n", "--count", min=1, help="How many to show.")]
Written = Annotated[Path | None, typer.Option("-o", "--output", help="Table to write instead of showing it.")]


@app.command()
def embed(
    encoder: Annotated[Path, typer.Argument(help="Folder or archive of a pretrained encoder or of a model.")],
    given: Annotated[Path, typer.Argument(metavar="LIST", help="Your galaxies, as for `astromae predict`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Embeddings to write (HDF5).")],
    bands: Bands = None,
    unit: Unit = "nanomaggies",
    config: ConfigFile = None,
    gpus: Annotated[int, typer.Option(min=0, max=1, help="1 to embed on a GPU.")] = 0,
) -> None:
    """Write the embeddings of your own galaxies: what a network makes of each."""
    from astromae.asking.embed import embed_galaxies
    from astromae.asking.sources import place_of
    from astromae.contracts.stamp_format import split_bands

    place, order = place_of(given, config), split_bands(bands) if bands else None
    print(f"{embed_galaxies(encoder, given, output, place, gpus, order, unit)} embedded")


@app.command()
def search(
    embeddings: Embedded,
    what: Annotated[
        str,
        typer.Argument(
            metavar="OBJID|RA,DEC|STAMP", help="One of them, by objid or position (deg), or a file of one stamp."
        ),
    ],
    count: Annotated[int, typer.Option("-k", "--count", min=1, help="How many.")] = 20,
    output: Written = None,
    encoder: Annotated[
        Path | None, typer.Option(help="What made the embeddings, if it is no longer where it was; for a stamp.")
    ] = None,
) -> None:
    """Find the galaxies that look most like one of them, or like a stamp."""
    from astromae.asking.search import find, names_galaxy
    from astromae.contracts.embeddings import Embeddings

    held = Embeddings(embeddings)
    if names_galaxy(what):
        if encoder is not None:
            raise InputError(f"{what}: is no stamp, which alone wants an --encoder")
        _show(find(held, what, count), output)
        return
    if not Path(what).exists():
        raise InputError(f"{what}: names no galaxy, and there is no such file; expected an objid, RA,DEC or a stamp")
    from astromae.asking.stamp_query import embed_stamp

    _show(find(held, embed_stamp(held, Path(what), encoder), count), output)


@app.command()
def anomalies(embeddings: Embedded, count: Most = 20, output: Written = None) -> None:
    """List the galaxies that look least like any other."""
    from astromae.asking import oddities
    from astromae.contracts.embeddings import Embeddings

    _show(oddities.anomalies(Embeddings(embeddings), count), output)


@app.command()
def mislabels(
    embeddings: Embedded,
    column: Annotated[str, typer.Option(help="The label: a column that the list had.")] = "z",
    count: Most = 20,
    output: Written = None,
) -> None:
    """List the galaxies whose look-alikes have another redshift or type."""
    from astromae.asking import oddities
    from astromae.contracts.embeddings import Embeddings

    _show(oddities.mislabels(Embeddings(embeddings), column, count), output)


def _show(table: Any, output: Path | None) -> None:
    """Print a table, or write it."""
    if output is None:
        print(table.to_string(index=False, float_format=lambda value: f"{value:.5g}"))
        return
    from astromae.asking.written import write_answers

    write_answers(output, table)


@app.command()
def docs_configuration(
    config: Annotated[Path, typer.Option(help="Configuration that holds the defaults.")] = Path("config.yaml"),
    output: Annotated[Path, typer.Option(help="Reference to write (Markdown).")] = Path("docs/configuration.md"),
    schema: Annotated[Path, typer.Option(help="JSON schema to write, for editors.")] = Path(
        "workflow/schemas/config.schema.json"
    ),
) -> None:
    """Write the reference of the configuration, every key with its default, what it may hold, and its meaning."""
    from astromae.settings.document import write_documents

    write_documents(config, output, schema)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def plan(context: typer.Context) -> None:
    """Say what a run would take: jobs, core-hours, GPU-hours, longest chain. Arguments are Snakemake's."""
    from astromae.plan import describe, planned_jobs

    print(describe(planned_jobs(context.args)))


@app.command()
def models(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List every configured model: its branches and parameters."""
    from astromae.settings.files import read_configuration

    configuration = read_configuration(config)

    from astromae.tasks.networks import describe_models
    from astromae.training.configured_recipes import networks_of

    rows = describe_models(networks_of(configuration), len(configuration.stamp_format().bands))
    print(json.dumps(rows, indent=2) if as_json else _model_table(rows))


def _model_table(rows: list[dict[str, Any]]) -> str:
    """Lay out the rows of `describe_models` for a terminal."""
    lines = [f"{'model':<29}{'group':<12}{'branches':<40}{'parameters':>12}{'trainable':>12}"]
    for row in rows:
        encoder = row["encoder"] and (
            f"{row['encoder']} ({'pretrained' if row['pretrained'] else 'scratch'}{', frozen' * row['frozen']})"
        )
        branches = [encoder, "inception" * row["inception"], "magnitude" * row["magnitude"]]
        joined = " + ".join(branch for branch in branches if branch)
        lines.append(f"{row['name']:<29}{row['group']:<12}{joined:<40}{row['parameters']:>12,}{row['trainable']:>12,}")
    return "\n".join(lines)


def _add_step(name: str) -> None:
    @app.command(name, help=f"Step of the workflow: {STEPS.source(name)}.", hidden=True)
    def step(
        params: Annotated[list[str], typer.Option(help="Parameters by name (JSON object); may be repeated.")],
    ) -> None:
        run_step(name, *params)


def _add_steps() -> None:
    """Add the steps that are no commands yet: the package's at first, and those of plugins."""
    known = {command.name for command in app.registered_commands}
    for name in STEPS:
        if name not in known:
            _add_step(name)


_add_steps()


bench = typer.Typer(no_args_is_help=True, help="Measure what a step costs on this machine.")
app.add_typer(bench, name="bench")


@bench.command("stamps")
def bench_cutting(
    fields: Annotated[int, typer.Option(min=1, help="Fields to draw, five frames each.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each is read, for another galaxy.")] = 10,
    archive: Annotated[str | None, typer.Option(help="Folder of real frames (.fits.bz2) to read instead.")] = None,
    table: Annotated[Path | None, typer.Option(help="List of galaxies on them: ra, dec, run, camcol, field.")] = None,
    release: Annotated[int, typer.Option(help="Data release, for the layout of `archive`.")] = 17,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Cut one galaxy a field from full-size frames: bytes and processor time against whole frames and bzip2."""
    from dataclasses import asdict

    from astromae.stamps.bench import bench_real_stamps, bench_stamps

    if (archive is None) != (table is None):
        raise InputError("bench stamps: --archive and --table go together: real frames, and the galaxies on them")
    result = asdict(
        bench_stamps(fields, rounds) if archive is None else bench_real_stamps(archive, release, table, rounds)
    )
    print(json.dumps(result, indent=2) if as_json else _bench_table(result))


@bench.command("train")
def bench_train(
    config: ConfigFile = None,
    batch_size: Annotated[int, typer.Option(min=8, help="Stamps of a batch.")] = 512,
    seconds: Annotated[float, typer.Option(min=0.1, help="About how long each measurement takes.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Train and predict on random stamps: stamps a second, and ratios to plain eager torch."""
    from astromae.settings.files import read_configuration

    configuration = read_configuration(config)

    from astromae.training.bench import bench_training

    _print_rates(bench_training(configuration, batch_size, seconds), as_json)


@bench.command("pretrain")
def bench_pretrain(
    config: ConfigFile = None,
    experiment: Annotated[str, typer.Option(help="Experiment or study.")] = "experiment1",
    encoder: Annotated[str, typer.Option(help="An encoder of it.")] = "plain",
    batch_size: Annotated[int | None, typer.Option(min=8, help="Stamps of a batch; else as configured.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="About how long each measurement takes.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Pretrain one encoder on random stamps: stamps a second, share of the chip's rate, waits for the device."""
    from astromae.settings.files import read_configuration

    configuration = read_configuration(config)

    from astromae.training.bench_pretraining import bench_pretraining

    _print_rates(bench_pretraining(configuration, experiment, encoder, batch_size, seconds), as_json)


@bench.command("search")
def bench_searching(
    count: Annotated[int, typer.Option("-n", "--galaxies", min=2, help="Embeddings to search among.")] = 1_000_000,
    width: Annotated[int, typer.Option(min=1, help="Numbers in each.")] = 192,
    nearest: Annotated[int, typer.Option("-k", min=1, help="Nearest to find.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a sentence.")] = False,
) -> None:
    """Search for one galaxy among random embeddings, and check what is found: seconds of a search."""
    from astromae.asking.search import bench_search

    seconds = bench_search(count, width, nearest)
    if as_json:
        print(json.dumps({"galaxies": count, "width": width, "k": nearest, "search_s": seconds}, indent=2))
    else:
        print(f"{seconds:.3g} s for the {nearest} nearest among {count:,} embeddings of {width} numbers")


def _print_rates(result: dict[str, Any], as_json: bool) -> None:
    """Print what a bench of training returns."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for key, value in result.items():
        print(f"{key:<28}{value if isinstance(value, str) else f'{value:,.3g}':>12}")


def _bench_table(result: dict[str, float]) -> str:
    """Lay out the result of `bench stamps` for a terminal."""
    meanings = {
        "galaxies": "stamps cut",
        "frames": "frames read",
        "frame_mb": "size of a frame, MB",
        "bytes_fraction": "bytes fetched and decoded, of whole frames",
        "cpu_over_decode": "processor time, of bzip2 decoding those bytes",
        "stamps_per_core_s": "stamps a core-second",
        "peak_mb": "peak memory, MB",
    }
    return "\n".join(f"{key:<20}{result[key]:>10.4g}   {meaning}" for key, meaning in meanings.items())


def main() -> None:
    """Run the command line; bad input ends in one line and status 2, an interruption in status 75."""
    if "SLURM_JOB_ID" in os.environ:
        log(f"Slurm job {os.environ['SLURM_JOB_ID']} on {platform.node()}")
    try:
        load_plugins_of_run()
        _add_steps()
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as interruption:
        print(interruption, file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: the disk is full: {error}. Free some space and run the same command again.", file=sys.stderr)
        sys.exit(2)
