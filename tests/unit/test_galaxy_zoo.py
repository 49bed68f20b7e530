"""Votes on shapes: a published table joined to a catalogue, and the answers of the embedded survey."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astromae.contracts.votes import QUESTIONS, vote_column, voted
from astromae.errors import InputError
from astromae.survey.drawn_votes import ANSWERED, EDGE_ON, FIRST_SPIRAL, drawn_votes
from astromae.survey.embedded import EmbeddedSettings
from astromae.survey.embedded_catalog import build_catalog
from astromae.survey.galaxy_zoo import LEAST_VOTES, TABLE, answered_questions, join_votes, read_votes
from astropy.table import Table

REAL = Path(__file__).parents[3] / "shared/data/sdss-real/tables/gz2_stripe82_votes_and_z.csv.gz"


def published(n=60, seed=1):
    """Return a table under the published names: people's answers, drawn as such, down the tree of questions."""
    random = np.random.default_rng(seed)
    rows = {"dr7objid": 587722981736120000 + np.arange(n), "ra": random.uniform(0, 360, n)}
    rows["dec"] = random.uniform(-10, 60, n)
    questions = {}
    for question in TABLE.values():
        for count in question.counted:
            name = count.removesuffix("_count")
            questions.setdefault(name.split("_")[0], []).append(name)
    questions["t08"] = ["t08_odd_feature_a24_merger", "t08_odd_feature_a19_ring"]
    for answers in questions.values():
        people = random.integers(0, 80, n)
        counts = np.array(
            [random.multinomial(people[i], random.dirichlet(np.ones(len(answers)) / 2)) for i in range(n)]
        )
        for number, name in enumerate(answers):
            rows[f"{name}_count"] = counts[:, number]
            rows[f"{name}_debiased"] = counts[:, number] / np.maximum(people, 1)
    return pd.DataFrame(rows)


def by_hand(row):
    """Return the fractions of one galaxy as Willett et al. 2013 say them, question by question."""

    def people(*answers):
        return sum(row[f"{answer}_count"] for answer in answers)

    smooth, disc = (
        row["t01_smooth_or_features_a01_smooth_debiased"],
        row["t01_smooth_or_features_a02_features_or_disk_debiased"],
    )
    edge = row["t02_edgeon_a04_yes_debiased"]
    bulges = [
        f"t05_bulge_prominence_{a}" for a in ("a10_no_bulge", "a11_just_noticeable", "a12_obvious", "a13_dominant")
    ]
    rounds = [f"t07_rounded_{a}" for a in ("a16_completely_round", "a17_in_between", "a18_cigar_shaped")]
    first = [f"t01_smooth_or_features_{a}" for a in ("a01_smooth", "a02_features_or_disk", "a03_star_or_artifact")]
    face_on = disc >= 0.430 and edge <= 1 - 0.715
    asked = {
        "features": people(*first) >= 20,
        "edgeon": disc >= 0.430 and people("t02_edgeon_a04_yes", "t02_edgeon_a05_no") >= 20,
        "bar": face_on and people("t03_bar_a06_bar", "t03_bar_a07_no_bar") >= 20,
        "bulge": face_on and people(*bulges) >= 20,
        "round": smooth >= 0.469 and people(*rounds) >= 20,
        "merger": people("t06_odd_a14_yes", "t06_odd_a15_no") >= 20,
    }
    fractions = {
        "features": disc,
        "edgeon": edge,
        "bar": row["t03_bar_a06_bar_debiased"],
        "bulge": row[f"{bulges[2]}_debiased"] + row[f"{bulges[3]}_debiased"],
        "round": row[f"{rounds[0]}_debiased"],
        "merger": row["t06_odd_a14_yes_debiased"] * row["t08_odd_feature_a24_merger_debiased"],
    }
    return {question: fractions[question] if asked[question] else np.nan for question in QUESTIONS}


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "fits", "parquet"])
def test_votes_are_read_as_they_were_published(tmp_path, kind):
    table, path = published(), tmp_path / f"gz2_hart16.{kind}"
    if kind == "fits":
        Table.from_pandas(table).write(path)
    elif kind == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    assert answered_questions(path) == list(QUESTIONS)
    read = read_votes(path)
    expected = pd.DataFrame([by_hand(row) for _, row in table.iterrows()])
    for question in QUESTIONS:
        np.testing.assert_allclose(read[vote_column(question)], expected[question], atol=1e-12)
        assert 0 < read[vote_column(question)].notna().sum() < len(table)
    np.testing.assert_array_equal(read.objid, table.dr7objid)


def test_without_counts_the_answers_before_decide(tmp_path):
    table = published()
    table[[name for name in table if not name.endswith("_count")]].to_csv(tmp_path / "few.csv", index=False)
    read = read_votes(tmp_path / "few.csv")
    assert read.vote_features.notna().all()
    disc = table["t01_smooth_or_features_a02_features_or_disk_debiased"]
    np.testing.assert_array_equal(read.vote_edgeon.notna(), disc >= 0.430)
    assert LEAST_VOTES == 20


def test_galaxies_are_found_by_objid_or_within_an_arcsecond(tmp_path):
    table = published(8)
    table.to_csv(tmp_path / "votes.csv", index=False)
    arcsec = np.array([0.0, 0.9, 1.1, 500, 0.9, 500, 500, 0])
    catalog = pd.DataFrame(
        {
            "objid": [*range(1, 6), table.dr7objid[5], *range(6, 8)],
            "ra": table.ra.to_numpy(),
            "dec": table.dec.to_numpy() + arcsec / 3600,
        },
        index=range(100, 108),
    ).iloc[::-1]
    joined = join_votes(catalog, tmp_path / "votes.csv")
    assert joined.index.equals(catalog.index)
    read = read_votes(tmp_path / "votes.csv").set_axis(range(100, 108))
    found = [100, 101, 104, 105, 107]
    pd.testing.assert_frame_equal(joined.loc[found], read.loc[found, list(joined)])
    assert joined.drop(index=found).isna().all().all()
    assert voted(joined.columns) == list(QUESTIONS)


def test_a_galaxy_beside_right_ascension_zero_is_found(tmp_path):
    table = published(2).assign(ra=[359.99995, 120.0], dec=[0.0, 10.0])
    table.to_csv(tmp_path / "votes.csv", index=False)
    catalog = pd.DataFrame({"objid": [1], "ra": [0.0001], "dec": [0.0]})
    joined = join_votes(catalog, tmp_path / "votes.csv")
    np.testing.assert_array_equal(joined.iloc[0], read_votes(tmp_path / "votes.csv").iloc[0][list(joined)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="ra"), "has no column ra; Galaxy Zoo's tables have ra and dec"),
        (lambda table: table[["ra", "dec", "dr7objid"]], "has no votes of Galaxy Zoo 2, such as t01_smooth"),
        (
            lambda table: table.assign(t02_edgeon_a04_yes_debiased=7.0),
            "row 1: t02_edgeon_a04_yes_debiased is 7; .* 0 to 1",
        ),
        (lambda table: table.assign(dec=100.0), "row 1: dec is 100; it should be from -90 to 90"),
        (lambda table: table.assign(dec=-80.0), "none of the catalogue's 60 galaxies is in it"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, change, message):
    change(published()).to_csv(tmp_path / "votes.csv", index=False)
    catalog = published()[["ra", "dec"]].assign(objid=np.arange(1, 61))
    with pytest.raises(InputError, match=message):
        join_votes(catalog, tmp_path / "votes.csv")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "votes.csv.gz").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(InputError, match=r"votes\.csv\.gz: cannot be read as CSV"):
        answered_questions(tmp_path / "votes.csv.gz")
    with pytest.raises(InputError, match=r"none\.csv: cannot be read as CSV"):
        answered_questions(tmp_path / "none.csv")


@pytest.mark.skipif(not REAL.exists(), reason="no real data")
def test_the_real_table_of_stripe_82():
    assert answered_questions(REAL) == ["features", "edgeon", "bar"]
    raw, read = pd.read_csv(REAL), read_votes(REAL)
    assert len(read) == 17656
    np.testing.assert_array_equal(read.objid, raw.objid)
    features = raw["t01_smooth_or_features_a02_features_or_disk_debiased"]
    np.testing.assert_array_equal(read.vote_features, features)
    edge = raw["t02_edgeon_a04_yes_debiased"]
    np.testing.assert_array_equal(read.vote_edgeon.notna(), features >= 0.430)
    np.testing.assert_array_equal(read.vote_bar.notna(), (features >= 0.430) & (edge <= 0.285))
    # As people see galaxies: more are smooth than not, a seventh of the discs are edge-on, a quarter barred.
    decided = [
        ((read[f"vote_{name}"] >= 0.7).sum(), (read[f"vote_{name}"] <= 0.3).sum())
        for name in ("features", "edgeon", "bar")
    ]
    assert decided == [(5217, 7677), (1006, 6448), (987, 3773)]
    near = pd.DataFrame({"objid": np.arange(1, 501), "ra": raw.ra[:500], "dec": raw.dec[:500] + 0.5 / 3600})
    pd.testing.assert_frame_equal(join_votes(near, REAL), read.iloc[:500, 3:])


def test_drawn_answers_follow_from_what_is_drawn():
    settings = EmbeddedSettings(galaxies=2000, seed=3, runs=[9001], camcols=[1, 2], galaxies_per_field=210).simulation
    catalog = build_catalog(settings)
    votes = catalog[[vote_column(question) for question in ANSWERED]]
    pd.testing.assert_frame_equal(votes, drawn_votes(catalog))
    spiral = catalog.hubble_type >= FIRST_SPIRAL
    np.testing.assert_array_equal(votes.vote_features, spiral)
    np.testing.assert_array_equal(votes.vote_edgeon.notna(), spiral)
    np.testing.assert_array_equal(votes.vote_round.notna(), ~spiral)
    np.testing.assert_array_equal(votes.vote_bulge.notna(), spiral & ~(catalog.disc_axis_ratio <= EDGE_ON))
    assert (votes.isin([0, 1]) | votes.isna()).all().all()
    # Each question has enough of both answers to learn from.
    assert (votes.mean().between(0.1, 0.8)).all(), votes.mean()
    # Ellipticals are their bulges, and round where these are.
    elliptical = catalog.bulge_fraction_r == 1
    np.testing.assert_array_equal(votes.vote_round[elliptical], catalog.bulge_axis_ratio[elliptical] >= 0.85)
