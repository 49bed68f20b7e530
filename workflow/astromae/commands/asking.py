"""Commands that ask trained models and encoders about galaxies, and share them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astromae.commands.options import ConfigFile
from astromae.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame

app = typer.Typer()


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


def _show(table: "DataFrame", output: Path | None) -> None:
    """Print a table, or write it."""
    if output is None:
        print(table.to_string(index=False, float_format=lambda value: f"{value:.5g}"))
        return
    from astromae.asking.written import write_answers

    write_answers(output, table)
