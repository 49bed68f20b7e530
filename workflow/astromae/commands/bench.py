"""Commands that measure what steps cost on this machine."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from astromae.commands.options import AsJson, ConfigFile
from astromae.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Measure what a step costs on this machine.")


@app.command("stamps")
def bench_cutting(
    fields: Annotated[int, typer.Option(min=1, help="Fields to draw, five frames each.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each is read, for another galaxy.")] = 10,
    archive: Annotated[str | None, typer.Option(help="Folder of real frames (.fits.bz2) to read instead.")] = None,
    table: Annotated[Path | None, typer.Option(help="List of galaxies on them: ra, dec, run, camcol, field.")] = None,
    release: Annotated[int, typer.Option(help="Data release, for the layout of `archive`.")] = 17,
    as_json: AsJson = False,
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


@app.command("train")
def bench_train(
    config: ConfigFile = None,
    batch_size: Annotated[int, typer.Option(min=8, help="Stamps of a batch.")] = 512,
    seconds: Annotated[float, typer.Option(min=0.1, help="About how long each measurement takes.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Train and predict on random stamps: stamps a second, and ratios to plain eager torch."""
    from astromae.settings.files import read_configuration

    configuration = read_configuration(config)

    from astromae.training.bench import bench_training

    _print_rates(bench_training(configuration, batch_size, seconds), as_json)


@app.command("pretrain")
def bench_pretrain(
    config: ConfigFile = None,
    experiment: Annotated[str, typer.Option(help="Experiment or study.")] = "experiment1",
    encoder: Annotated[str, typer.Option(help="An encoder of it.")] = "plain",
    batch_size: Annotated[int | None, typer.Option(min=8, help="Stamps of a batch; else as configured.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="About how long each measurement takes.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Pretrain one encoder on random stamps: stamps a second, share of the chip's rate, waits for the device."""
    from astromae.settings.files import read_configuration

    configuration = read_configuration(config)

    from astromae.training.bench_pretraining import bench_pretraining

    _print_rates(bench_pretraining(configuration, experiment, encoder, batch_size, seconds), as_json)


@app.command("search")
def bench_searching(
    count: Annotated[int, typer.Option("-n", "--galaxies", min=2, help="Embeddings to search among.")] = 1_000_000,
    width: Annotated[int, typer.Option(min=1, help="Numbers in each.")] = 192,
    nearest: Annotated[int, typer.Option("-k", min=1, help="Nearest to find.")] = 20,
    as_json: AsJson = False,
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
