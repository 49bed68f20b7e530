# What the cutting of stamps and the taking of samples read and ask for.
from astromae.survey.address import is_remote

CUT_JOB = survey.cut(section, STAMPS)


def cut_inputs(wildcards):
    """Return the catalogue, and what else a chunk's stamps are made of."""
    chunk = int(wildcards.chunk)
    inputs = {name: value(chunk) if callable(value) else value for name, value in CUT_JOB.inputs.items()}
    return by_content(catalog=CATALOG, **inputs)


def cutting_s(wildcards, threads):
    """Return how long a chunk's stamps are expected to take, in seconds."""
    return ESTIMATES.cutting_s(int(wildcards.chunk), threads)


def cutting_minutes(wildcards, threads, attempt):
    """Return a chunk's time limit."""
    return ESTIMATES.cutting_minutes(int(wildcards.chunk), threads, attempt)


def downloads(wildcards, threads):
    """Return how many frames a stamps job downloads at once, so that `--resources downloads=N` can bound jobs."""
    return threads if is_remote(survey.frames(section) or "") else 0


def with_checksums(inputs):
    """Return a sample's inputs, of which stamps, catalogue and features count by their content."""
    large = {name: files for name, files in inputs.items() if name in ("catalog", "stamps", "features")}
    return {**inputs, **by_content(**large)}
