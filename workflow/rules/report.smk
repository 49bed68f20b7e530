# What reports and the paper are made of, and what Snakemake's report says of results.
from astromae.documents.captions import GENERAL, Shown, caption_title, shown


def in_clone(path):
    """Return a file of the clone, as a path from the working directory."""
    return os.path.relpath(Path(workflow.basedir, path))


def clone_files(folder):
    """Return all files of a folder of the clone."""
    return [in_clone(file) for file in sorted(Path(workflow.basedir, folder).rglob("*")) if file.is_file()]


def shown_product(products, name):
    """Return what reports say of a table or figure."""
    table, kind = (tables.TABLES, "tables") if products is TABLES else (figures.FIGURES, "figures")
    try:
        return shown(table, products[name], PACKAGE_ROOT / "report" / kind, config)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def caption_of(products, wildcard):
    """Return a parameter with a product's caption, for Snakemake's report; a change of it reruns nothing."""
    return lambda wildcards, resources: shown_product(products, wildcards[wildcard]).caption


def reported(path, caption=None):
    """Return an output that Snakemake's report shows.

    Its caption is a file of workflow/report, in the folder of the output's kind unless it names another; that of a
    table or figure (no `caption`) is a parameter of its job.
    """
    folder, suffix = os.path.basename(os.path.dirname(path)), path.rpartition(".")[2]
    # Of two formats the report shows first the one that the alphabet does.
    formats = {"png": "image (PNG)", "pdf": "vector (PDF)"} if folder == "figures" else {}
    file = caption and (caption if os.path.dirname(caption) else f"{folder}/{caption}")
    products, wildcard = (FIGURES, "figure") if folder == "figures" else (TABLES, "table")

    def said(wildcards):
        if caption is None:
            return shown_product(products, wildcards[wildcard])
        text = Path(PACKAGE_ROOT, "report", f"{file}.rst").read_text(encoding="utf-8")
        return Shown(caption_title(text), None, GENERAL, text)

    return report(
        path,
        caption="../report/product.rst" if caption is None else f"../report/{file}.rst",
        category={"report": "Results page"}.get(folder, folder.capitalize()),
        subcategory=lambda wildcards: said(wildcards).heading,
        labels=lambda wildcards: {"result": said(wildcards).title, "format": formats.get(suffix, suffix.upper())},
    )


def study_text(study):
    """Return the text of a study's document, which it need not have."""
    return in_clone(f"workflow/studies/{study}.typ")
