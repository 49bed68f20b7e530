"""What the workflow plans, and how it refuses a wrong configuration, without running a job."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from astromae.survey.archive import frame_address
from astromae.survey.counts import ask_counts
from astromae.survey.observed_catalog import deal_fields
from astromae.survey.sdss_catalog import Pace, Sample
from processor_time import processor_seconds
from servers.sdss import Server
from servers.sky import small_sky

PAPER = ("--configfile", "workflow/presets/paper.yaml")
TARGETS = ["catalog", "stamps", "encoders", "models", "tables", "figures", "paper", "results_page", "rivals"]


def test_default_plan(project):
    jobs = project.plan()
    assert (jobs["frames"], jobs["cut"]) == (12, 12)
    assert jobs["pretrain"] == 3  # plain and pcm for experiment 1, pcm for experiment 2
    assert jobs["train"] == 16 + 3 + 1  # two random encoders in experiment 1, one in experiment 2
    assert jobs["classical"] == 4 + 4 + 3
    # Metrics, conformal intervals and RAIL's metrics of three experiments; costs, realism, calibration and purity.
    assert jobs["table"] == 3 * 3 + 4
    assert jobs["paper"] == 1


@pytest.mark.parametrize("target", TARGETS)
def test_targets_by_name(project, target):
    assert target in project.plan(target)


def test_figures_that_the_readme_shows_are_made(project):
    names = re.findall(r"`(?:results/figures/)?([\w-]+)\.png`", (project.folder / "README.md").read_text())
    assert len(names) == 1
    jobs = project.plan(*(f"results/figures/{name}.png" for name in names))
    assert jobs["figure"] == 1


def test_shapes_are_learnt_beside_redshifts(project):
    jobs = project.plan("--configfile", "workflow/presets/morphology.yaml")
    own = [
        "results/tables/morphology.csv",
        "results/tables/questions-morphology.csv",
        "results/figures/roc-morphology.pdf",
    ]
    alone = project.plan(*own, "--configfile", "workflow/presets/morphology.yaml")
    assert (jobs["pretrain"], jobs["train"], jobs["classical"]) == (4, 20 + 7, 8 + 3 + 2)
    assert (alone["pretrain"], alone["train"], alone["classical"]) == (1, 7, 2)


def test_votes_that_the_survey_lacks_stop_the_plan(project, tmp_path):
    none = {"sdss": {"galaxy_zoo": str(tmp_path / "none.csv")}}
    for questions, survey, more, words in (
        (["features", "bar"], "embedded", {}, "has no votes on bar; it has them on features, edgeon, bulge, round"),
        (["features"], "sdss", {}, "has no votes on features; it has none: set sdss.galaxy_zoo"),
        (["features"], "sdss", none, "none.csv: cannot be read as CSV: [Errno 2] No such file"),
    ):
        own = tmp_path / "own.yaml"
        own.write_text(yaml.safe_dump({"survey": survey, "tasks": {"morphology": {"questions": questions}}, **more}))
        ran = project.snakemake("--dry-run", "--configfile", "workflow/presets/morphology.yaml", str(own))
        assert ran.returncode != 0 and words in ran.stdout


def test_a_target_needs_no_more_than_it_is_made_of(project):
    assert set(project.plan("stamps")) == {"catalog", "frames", "cut", "stamps"}
    assert not {"train", "features", "table"} & set(project.plan("encoders"))
    assert "classical" in project.plan("models")


def test_each_seed_is_trained(project, tmp_path):
    seeds = tmp_path / "seeds.yaml"
    seeds.write_text("seeds: [1, 2, 3]\n")
    jobs = project.plan("--configfile", str(seeds))
    assert (jobs["pretrain"], jobs["train"], jobs["classical"]) == (9, 60, 33)
    assert jobs["split"] == 3


@pytest.mark.parametrize(
    ("settings", "words", "resources"),
    [
        ({"gpus": 0}, ["python -m astromae pretrain"], {}),
        ({"gpus": 1}, ["python -m astromae pretrain"], {"gpu": "1"}),
        (
            {"gpus": 4},
            [
                "python -m astromae.training.launch --nproc-per-node 4 --standalone --no-python python -m astromae "
                "pretrain"
            ],
            {"gpu": "4"},
        ),
        (
            {"gpus": 4, "nodes": 2},
            ["srun --overlap --nodes=2 ", "--nproc-per-node 4 --nnodes 2 ", " --no-python python -m astromae pretrain"],
            {"gres": "gpu:4", "nodes": "2"},
        ),
    ],
)
def test_a_training_starts_once_for_each_gpu(project, tmp_path, settings, words, resources):
    gpus = tmp_path / "gpus.yaml"
    gpus.write_text(yaml.safe_dump({"training": settings}))
    ran = project.snakemake("encoders", "--configfile", str(gpus), "--dry-run", "--printshellcmds")
    assert ran.returncode == 0, ran.stdout
    (job, *_) = re.findall(r"^rule pretrain:\n.*?(?=^\[)", ran.stdout, flags=re.M | re.S)
    assert all(word in job for word in words)
    asked = dict(re.findall(r"(\w+)=([\w:]+)", re.search(r"resources: (.*)", job)[1]))
    assert {name: asked[name] for name in ("gpu", "gres", "nodes") if asked.get(name, "0") != "0"} == resources


@pytest.mark.parametrize("survey", ["cube", "sdss"])
def test_the_published_scale_plans_without_data(project, survey):
    with processor_seconds() as spent:
        jobs = project.plan(*PAPER, "--config", f"survey={survey}")
    assert spent() < 20
    assert "frames" not in jobs
    assert sum(jobs.values()) < 3000


def test_the_whole_survey_plans_in_seconds(project):
    """660,000 galaxies on 250,000 fields: of a catalogue the plan reads no more than how many fields a chunk has."""
    fields = np.random.default_rng(1).permutation(np.append(np.arange(250_000), np.arange(410_000) % 250_000))
    galaxies = pd.DataFrame({"objid": np.arange(660_000), "run": 1 + fields // 6000})
    galaxies["camcol"], galaxies["field"] = 1 + fields // 1000 % 6, fields % 1000
    galaxies["chunk"] = deal_fields(galaxies[["run", "camcol", "field"]], 250)
    assert (
        galaxies.groupby("chunk")[["run", "camcol", "field"]].apply(lambda part: len(part.drop_duplicates())) == 1000
    ).all()
    catalog = project.folder / "results/catalog/galaxies.parquet"
    catalog.parent.mkdir(parents=True)
    try:
        galaxies.to_parquet(catalog)
        with processor_seconds() as spent:
            jobs = project.plan(*PAPER, "--config", "survey=sdss")
    finally:
        shutil.rmtree(catalog.parent)
    assert spent() < 20
    assert jobs["cut"] == 250
    assert sum(jobs.values()) <= 3000


def jobs_of(printed: str) -> list[tuple[str, set[str], set[str]]]:
    """Return the rule, the inputs and the outputs of each job that a dry run prints."""
    jobs = []
    for job in re.split(r"^(?:local)?rule ", printed, flags=re.M)[1:]:
        files = {key: set() for key in ("input", "output")}
        for key, names in re.findall(r"^    (input|output): (.*)$", job, flags=re.M):
            files[key] |= set(names.split(", "))
        jobs.append((job.partition(":")[0], files["input"], files["output"]))
    return jobs


def test_a_bundle_holds_what_tables_figures_and_paper_are_made_from_and_nothing_else(project):
    """A rule of results.smk or paper.smk that reads another file needs that file in the bundle."""
    files = [project.folder / f"workflow/rules/{name}.smk" for name in ("results", "paper")]
    late = {rule for file in files for rule in re.findall(r"^rule (\w+):", file.read_text(), flags=re.M)}
    wanted, made = set(), set()
    for rule, inputs, outputs in jobs_of(project.snakemake("--dry-run").stdout):
        if rule in late:
            wanted |= {name for name in inputs if name.startswith("results/")}
            made |= outputs
    packed = next(
        inputs for rule, inputs, _ in jobs_of(project.snakemake("bundle", "--dry-run").stdout) if rule == "bundle"
    )
    assert len(made) > 20
    assert wanted - made == {name for name in packed if name.startswith("results/")}


def test_a_chunk_gets_time_by_its_fields(project, tmp_path):
    """Before there is a catalogue as many as expected, then as many as it has; a mirror spares the requests' time."""

    def limits(*arguments):
        ran = project.snakemake("--dry-run", "stamps", *PAPER, "--config", "survey=sdss", *arguments)
        found = re.findall(r"^rule cut:.*?^    wildcards: chunk=(\d+).*?\bruntime=(\d+)", ran.stdout, re.M | re.S)
        return {int(chunk): int(minutes) for chunk, minutes in found}

    # 1,000 fields x (2.4 s of a core + 5 frames x 16 threads / 10 a second), five times that and ten minutes.
    assert set(limits().values()) == {880}
    frame = Path(frame_address(str(tmp_path), 17, 94, 1, 11, "r"))
    frame.parent.mkdir(parents=True)
    frame.touch()
    assert set(limits(f"sdss={{archive: {tmp_path}}}").values()) == {210}
    fields = np.arange(1000 + 249 * 5)
    galaxies = pd.DataFrame({"run": 94, "camcol": 1, "field": fields, "chunk": np.maximum(0, (fields - 1000) // 5 + 1)})
    catalog = project.folder / "results/catalog/galaxies.parquet"
    catalog.parent.mkdir(parents=True)
    try:
        pd.concat([galaxies, galaxies]).to_parquet(catalog)
        after = limits()
    finally:
        shutil.rmtree(catalog.parent)
    assert after.pop(0) == 880
    assert set(after.values()) == {20}


def test_a_plan_follows_from_skyservers_counts(project):
    """Before they are known it reckons with the preset's 250,000 fields; the small sky's fit into one a chunk."""
    arguments = (*PAPER, "--config", "survey=sdss")

    def limits():
        ran = project.snakemake("--dry-run", "stamps", *arguments)
        return set(re.findall(r"^rule cut:.*?\bruntime=(\d+)", ran.stdout, re.M | re.S))

    assert limits() == {"880"}
    counted = project.folder / "results/catalog/counts.json"
    pace = Pace(queries_per_minute=60, timeout_s=5, tries=1, backoff_s=1)
    try:
        with Server(tables=small_sky()) as server:
            sample = Sample(server.skyserver, 17, "spectroscopic", {})
            assert ask_counts(sample, pace, counted).fields < 1000
        assert limits() == {"20"}
    finally:
        shutil.rmtree(counted.parent)


@pytest.mark.parametrize("target", [(), ("stamps",)])
def test_the_corner_says_what_it_downloads_and_starts_nothing_else(fresh_project, target):
    """As `make plan PRESET=corner` calls it; nobody listens at the server's address."""
    preset = ("--configfile", "workflow/presets/corner.yaml", "--config", "sdss={server: http://127.0.0.1:9}")
    recipe = re.search(r"snakemake downloads \$\(ARGS\) (.*?) \$\(if", (fresh_project.folder / "Makefile").read_text())[
        1
    ].split()
    ran = fresh_project.snakemake("downloads", *target, *recipe, *preset)
    assert ran.returncode == 0, ran.stdout
    said = {line[:14].strip(): line[14:].strip() for line in ran.stdout.splitlines()}
    assert said["galaxies"] == "2,070   on 810 fields, by sdss.expected of the configuration, not yet counted"
    assert (said["to download"][:7], said["requests"][:5]) == ("10.1 GB", "4,050")
    assert "SkyServer gave no counts: http://127.0.0.1:9/dr17: no connection" in ran.stdout
    assert not (fresh_project.folder / "results/catalog/counts.json").exists()
    assert not list(fresh_project.folder.glob("results/**/*.parquet"))


def test_make_plan_says_what_a_run_takes(project):
    arguments = (*PAPER, "--config", "survey=sdss")
    ran = project.astromae("plan", "--profile", "slurm", *arguments)
    assert ran.returncode == 0, ran.stdout
    # Columns of a rule: jobs, threads, GPUs where there are, GB, limit, longest, core-hours, GPU-hours.
    by_rule, _, trainings = ran.stdout.partition("each training, over all its seeds")
    rows = {line.split()[0]: line.replace(" h", "").split()[1:] for line in by_rule.splitlines() if line}
    counts = {rule: int(jobs) for rule, jobs in project.plan(*arguments).items() if rule not in ("all", "stamps")}
    assert {rule: int(rows[rule][0]) for rule in counts} == counts
    assert int(rows["all"][0]) == sum(counts.values())
    # The paper's sample and epochs at 1,200 stamps a second: plain and pcm, then pcm on the second experiment.
    seeds = len(yaml.safe_load((project.folder / "workflow/presets/paper.yaml").read_text())["seeds"])
    stamps = seeds * 659_857 * 2000 * (0.8 + 0.8 * 3.6 / 3.1 + 0.8 * 3.6 / 3.1)
    assert float(rows["pretrain"][-1].replace(",", "")) == pytest.approx(stamps / 1200 / 3600, rel=1e-3)
    assert rows["pretrain"][1:3] == ["8", "1"]
    each = [line.split() for line in trainings.partition("\n\n")[0].splitlines() if line.startswith("pretrain ")]
    assert {(*words[1:3], words[3]) for words in each} == {
        *((encoder, "experiment1", str(seeds)) for encoder in ("plain", "pcm")),
        ("pcm", "experiment2", str(seeds)),
    }
    gpu_hours = sum(float(words[-1].replace(",", "")) for words in each)
    assert gpu_hours == pytest.approx(stamps / 1200 / 3600, rel=1e-3)
    # 250,000 fields, four threads a job: (2.4 / 4 + 2 s of their share of the requests) x 4 threads.
    assert float(rows["cut"][-1]) == pytest.approx(250_000 * 2.6 * 4 / 3600, rel=1e-3)
    # After the models several ways to the paper take equally long.
    assert "catalog > cut > stamps_checksum > split > scaling > pretrain > features > train > " in ran.stdout
    assert not (project.folder / "results/catalog").exists()


def test_make_plan_of_a_wrong_configuration(project):
    ran = project.astromae("plan", "--config", "survey=sloan")
    assert ran.returncode == 2
    assert 'survey is "sloan"; allowed: embedded, sdss, cube' in ran.stdout


@pytest.mark.parametrize("options", [(), (*PAPER, "--config", "survey=sdss"), (*PAPER, "--config", "survey=cube")])
def test_large_inputs_have_checksums_beside_them(project, options):
    """Snakemake would compare their dates, which a copy changes; see by_content in common.smk."""
    large = re.compile(
        r"results/(stamps/\d+\.h5|catalog/.*\.parquet|survey/.*|.*/features\.h5|encoders/.*/weights\.safetensors)"
    )
    seen = set()
    for rule, inputs, _ in jobs_of(project.snakemake("--dry-run", *options).stdout):
        files = {name for name in inputs if large.fullmatch(name) and not name.endswith(".sha256")}
        beside = {re.sub(r"stamps/\d+\.h5", "stamps", name) + ".sha256" for name in files}
        assert beside <= inputs, rule
        seen |= {rule} if files else set()
    assert {"split", "scaling", "pretrain", "reconstruct", "features", "train", "classical"} <= seen


def test_training_asks_for_gpus_and_nothing_else_does(project):
    ran = project.snakemake("--dry-run", *PAPER)
    jobs = re.split(r"^(?:local)?rule ", ran.stdout, flags=re.M)[1:]
    with_gpu = {job.partition(":")[0] for job in jobs if re.search(r"resources:.*\bgpu=1\b", job)}
    assert with_gpu == {"pretrain", "features", "train"}


def test_shared_features_can_be_switched_off(project, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("training: {share_features: false}\n")
    assert "features" not in project.plan("--configfile", str(settings))


def test_the_slurm_profile_plans(project):
    assert project.plan("--profile", "slurm")["pretrain"] == 3


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("survey: sloan", 'configuration: survey is "sloan"; allowed: embedded, sdss, cube'),
        ("stamp: {size: 64}", "configuration: stamp is an unknown key"),
        (
            "experiments: {experiment1: {fractions: {train: -0.3}}}",
            "configuration: experiments.experiment1.fractions.train is -0.3; allowed: a number above 0 and at most 1",
        ),
        (
            "experiments: {experiment1: {fractions: {train: 0.9}}}",
            "configuration: experiments.experiment1.fractions add up to 1.6; allowed: at most 1",
        ),
        (
            "experiments: {experiment2: {models: [astromae]}}",
            'configuration: experiments.experiment2.models is "astromae"; allowed: names in section models',
        ),
    ],
)
def test_a_wrong_configuration_stops_before_the_first_job(project, tmp_path, settings, line):
    file = tmp_path / "settings.yaml"
    file.write_text(f"{settings}\n")
    ran = project.snakemake("--cores", "1", "--configfile", str(file))
    assert ran.returncode != 0
    assert re.search(f"^{re.escape(line)}", ran.stdout, flags=re.M)
    assert "Traceback" not in ran.stdout
    assert not (project.folder / "results/catalog").exists()
