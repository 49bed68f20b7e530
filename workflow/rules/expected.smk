# What jobs are expected to take before any data exist: how much they have to do, and how long that takes by
# rates that were measured. Time limits and memory of jobs start from it, and `make plan` adds it up.
import functools

from astromae.contracts.catalog import fields_of_chunks

try:
    RECKONED = survey.expected(section)
except InputError as error:
    raise WorkflowError(str(error)) from None
GALAXIES = RECKONED.galaxies

# Of a stored feature: float16.
FEATURE_BYTES = 2

# MB of a galaxy's stamp in memory.
STAMP_MB = STAMPS.stamp_bytes / 2**20

# Seconds of a core (x86-64, AVX-512) for one galaxy, field or stamp, from a default run's provenance.json and
# logs. A training's stamps are those of its gradient steps; validation and prediction are contained in the rate.
CORE_S = {
    "frames": 0.06,  # a galaxy drawn
    "cut": 2.4,  # a field of 210 galaxies: five bands decoded and cut. One with few galaxies takes half.
    "cube": 0.7e-3,  # a stamp of a deflated cube converted
    "pretrain": {"plain": 3.1e-3, "pcm": 3.6e-3},
    "features": {"plain": 1.8e-3, "pcm": 2.1e-3},  # the encoder forwards, by views
    "train encoder": {"plain": 4.9e-3, "pcm": 8.0e-3},
    "inception": 1.2e-3,
    "magnitude": 0.3e-3,
    "redshift": 0.15e-3,  # views and head, which all models have
}

# Cores that one GPU is worth: stamps a second that it pretrains over those of a core.
CORES_OF_GPU = site.gpu_stamps_per_s * CORE_S["pretrain"]["plain"]


@functools.cache
def counted_fields(changed):
    """Return the fields of each chunk of the catalogue as it was at a time of change."""
    return fields_of_chunks(CATALOG)


def fields_of_chunk(wildcards):
    """Return how many fields a chunk has: as the catalogue says, or as expected where it does not yet."""
    expected = math.ceil(RECKONED.fields / len(CHUNKS))
    if not os.path.exists(CATALOG):
        return expected
    return counted_fields(os.stat(CATALOG).st_mtime_ns).get(int(wildcards.chunk), expected)


def cutting_s(wildcards, threads):
    """Return how long a chunk's stamps take, in seconds.

    A field is five frames, and as many requests where the archive is remote; the limit of requests is then
    shared by twice as many threads as there are connections, the resource `downloads` of the profile. Of the
    published sample: 1000 fields x (2.4 / 4 + 5 x 16 / (10 x 4)) = 2600 s a chunk with four threads.
    """
    if not survey.frames(section):
        return math.ceil(CORE_S["cube"] * GALAXIES / len(CHUNKS))
    field_s = CORE_S["cut"] / threads
    if is_remote(survey.frames(section)):
        download = section.download
        field_s += 5 * 2 * download.connections / (download.requests_per_second * threads)
    return math.ceil(fields_of_chunk(wildcards) * field_s)


def cutting_minutes(wildcards, threads, attempt):
    """Return a chunk's time limit: five times what is expected, for slow disks and archives, and ten minutes.

    In steps of ten minutes, since the jobs of an array all have the limit of its first.
    """
    return attempt * 10 * math.ceil((10 + 5 * cutting_s(wildcards, threads) / 60) / 10)


def galaxies_in(experiment, subsets):
    """Return how many galaxies an experiment is expected to have in some subsets."""
    return GALAXIES * sum(EXPERIMENTS[experiment]["fractions"][subset] for subset in subsets)


def training_s(core_s, gpus=GPUS * NODES):
    """Return how long a training's core-seconds take on what it gets: its GPUs, or its threads."""
    return math.ceil(core_s / (gpus * CORES_OF_GPU or config["training"]["threads"]))


def kind_of(encoder):
    """Return the kind of a backbone, by which its cost is known."""
    return "pcm" if config["backbones"][encoder]["pcm"] else "plain"


def pretraining_s(wildcards):
    """Return how long a pretraining is expected to take, in seconds."""
    settings = EXPERIMENTS[wildcards.experiment]
    stamps = galaxies_in(wildcards.experiment, settings["pretrain_on"]) * settings["pretraining"]["epochs"]
    return training_s(stamps * CORE_S["pretrain"][kind_of(wildcards.encoder)])


def finetuning_stamps(experiment):
    """Return how many stamps the gradient steps of a fine-tuning see."""
    return galaxies_in(experiment, ["train"]) * EXPERIMENTS[experiment]["finetuning"]["epochs"]


def features_s(wildcards):
    """Return how long a frozen encoder's features are expected to take, in seconds."""
    views = finetuning_stamps(wildcards.experiment) + galaxies_in(wildcards.experiment, ["val", "test"])
    return training_s(views * CORE_S["features"][kind_of(wildcards.encoder)], min(GPUS, 1))


def features_mb(wildcards):
    """Return the disk that a frozen encoder's features are expected to take, in MB."""
    views = finetuning_stamps(wildcards.experiment) + galaxies_in(wildcards.experiment, ["val", "test"])
    return math.ceil(views * config["backbones"][wildcards.encoder]["width"] * FEATURE_BYTES / 2**20)


def features_to_keep_mb():
    """Return the disk that all features of a run are expected to take, in MB."""
    kept = 0
    for experiment in PRETRAINED:
        models = [config["models"][name] for name in EXPERIMENTS[experiment]["models"]]
        for encoder in {model["encoder"] for model in models if shares_features(model)}:
            kept += len(SEEDS) * features_mb(Wildcards(fromdict={"experiment": experiment, "encoder": encoder}))
    return kept


def model_s(wildcards):
    """Return how long a model is expected to take, in seconds: the sum of its branches."""
    model = config["models"][wildcards.model]
    stamp_s = CORE_S["redshift"] + sum(CORE_S[branch] for branch in ("inception", "magnitude") if model[branch])
    if model["encoder"] and not (model["frozen"] and config["training"]["share_features"]):
        cost = CORE_S["features" if model["frozen"] else "train encoder"]
        stamp_s += cost[kind_of(model["encoder"])]
    return training_s(finetuning_stamps(wildcards.experiment) * stamp_s)


def pretraining_priority(wildcards):
    """Start the longest pretraining first: all that reads its encoder waits for it."""
    return 150 + math.log1p(pretraining_s(wildcards))


def model_priority(wildcards):
    """Start long trainings first, so that the last ones to end are short ones."""
    return math.log1p(model_s(wildcards))
