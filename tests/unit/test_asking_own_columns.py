"""A person's own columns: nothing is lost by reading them, by naming them beside answers, or by writing them."""

import numpy as np
import pandas as pd
import pytest
from astromae.asking.own_columns import beside, own_columns
from astromae.asking.written import write_answers
from astropy.table import MaskedColumn, Table

POSITIONS = pd.DataFrame({"ra": [10.0, 20.0, 30.0], "dec": [1.0, 2.0, 3.0]})


def listed(path, **columns):
    """Return what is read of a CSV with these texts."""
    lines = [
        ",".join(["ra", "dec", *columns]),
        *(",".join(["1", "2", *row]) for row in zip(*columns.values(), strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n")
    return own_columns(path)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["007", "12", "3"], None),
        (["+5", "1", "2"], None),
        (["00.5", "1.5", "2"], None),
        (["1237648720693755918", "5", "-3"], [1237648720693755918, 5, -3]),
        (["9223372036854775808", "5", "3"], None),
        (["9007199254740993", "0.5", "3"], None),
        (["9007199254740992", "0.5", "3"], [9007199254740992.0, 0.5, 3.0]),
        (["1e400", "1", "2"], None),
        (["inf", "-.5", "1.25e-3"], [np.inf, -0.5, 0.00125]),
        (["0.10", "2.", "3"], [0.1, 2.0, 3.0]),
        (["2024-01-01", "x y", "1"], None),
    ],
)
def test_texts_become_numbers_where_nothing_is_lost(tmp_path, texts, values):
    column = listed(tmp_path / "l.csv", mine=texts)["mine"]
    assert column.tolist() == (texts if values is None else values)
    assert (column.dtype == np.float64) == (values is not None and isinstance(values[0], float))


def test_missing_cells_keep_what_the_others_are(tmp_path):
    own = listed(
        tmp_path / "l.csv",
        whole=["1237648720693755918", "n/a", "2"],
        decimal=["", "0.5", "NULL"],
        text=["a", "", "n/a"],
    )
    assert own["whole"].tolist() == [1237648720693755918, pd.NA, 2]
    np.testing.assert_array_equal(own["decimal"], [np.nan, 0.5, np.nan])
    assert own["text"].tolist() == ["a", "", "n/a"]


def test_types_of_fits(tmp_path):
    given = {
        "ra": np.array([1.0, 2.0], ">f8"),
        "dec": [1.0, 2.0],
        "n": MaskedColumn([1, 7], mask=[True, False]),
        "small": np.array([1, 2], np.uint8),
        "name": MaskedColumn(["a", "b"], mask=[False, True]),
        "yes": [True, False],
        "spectrum": np.ones((2, 5)),
        "one": np.array([[1.5], [2.5]]),
    }
    Table(given).write(tmp_path / "l.fits")
    own = own_columns(tmp_path / "l.fits")
    assert own.columns.tolist() == ["ra", "dec", "n", "small", "name", "yes", "one"]
    assert own["n"].tolist() == [pd.NA, 7]
    assert own["yes"].tolist() == [True, False] and own["small"].dtype == np.uint8
    assert own["one"].tolist() == [1.5, 2.5]


def test_columns_with_several_values_are_named(tmp_path, capfd):
    table = pd.DataFrame({"ra": [1.0], "dec": [2.0], "lists": [[1.0, 2.0]], "when": [pd.Timestamp("2020-01-02")]})
    table.to_parquet(tmp_path / "l.parquet")
    own = own_columns(tmp_path / "l.parquet")
    assert own.columns.tolist() == ["ra", "dec", "when"]
    assert own["when"][0].startswith("2020-01-02")
    assert "not kept, since a row has several values in them: lists" in capfd.readouterr().err


def test_no_column_of_a_list_is_lost_by_its_name(tmp_path):
    (tmp_path / "l.csv").write_text("ra,dec,a,A,a,,My Name\n1,2,3,4,5,6,7\n")
    own = own_columns(tmp_path / "l.csv")
    assert own.columns.tolist() == ["ra", "dec", "a", "A_2", "a_3", "column_6", "My Name"]
    assert own.iloc[0].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_names_that_answers_have_are_told_apart():
    answers = POSITIONS.assign(z_phot=0.1, flags="", model="m")
    names = ["Flags", "flags", "flags_listed", "MODEL", "mine", "Mine", "z_phot"]
    own = pd.DataFrame(np.arange(21).reshape(3, 7), columns=names)
    both = beside(answers, own)
    assert len({name.lower() for name in both}) == both.shape[1] == answers.shape[1] + own.shape[1]
    pd.testing.assert_frame_equal(both[answers.columns], answers)
    # Those that need no other name keep theirs.
    right = ["Flags_listed_2", "flags_listed_3", "flags_listed", "MODEL_listed", "mine", "Mine_2", "z_phot_listed"]
    assert both.columns.tolist() == [*answers.columns, *right]
    np.testing.assert_array_equal(both[right], own)


def test_what_was_asked_is_kept_where_it_differs():
    answers = POSITIONS.assign(objid=[2**60 + 1, 2**60 + 2, 2**60 + 3], mag_r=[17.0, np.nan, 18.0], z_phot=0.1)
    asked = ("objid", "ra", "dec", "mag_r")
    same = pd.DataFrame(
        {"OBJID": answers["objid"], "RA": answers["ra"].astype(np.float32), "dec": ["+1.0", "2", "03"]}
    ).assign(mag_r=answers["mag_r"])
    assert beside(answers, same, asked).columns.tolist() == answers.columns.tolist()
    other = same.assign(OBJID=answers["objid"] + [0, 1, 0], RA=answers["ra"] / 15, mag_r=[17.0, -9999.0, 18.0])
    both = beside(answers, other, asked)
    assert both.columns.tolist() == [*answers.columns, "OBJID_listed", "RA_listed", "mag_r_listed"]
    assert both["OBJID_listed"].tolist() == [2**60 + 1, 2**60 + 3, 2**60 + 3]
    assert "objid_listed" in beside(answers, pd.DataFrame({"objid": ["SDSS J1", "", "x"]}), asked)


def test_rows_that_were_not_asked_about_have_what_the_list_says():
    answers = POSITIONS.assign(objid=[2**60 + 1, 0, 0], mag_r=[17.0, np.nan, np.nan])
    rows, asked = answers["objid"].to_numpy() != 0, ("objid", "ra", "dec", "mag_r")
    own = pd.DataFrame({"objid": pd.array([2**60 + 1, 2**60 + 3, None], dtype="Int64"), "mag_r": [17.0, 18.0, np.nan]})
    both = beside(answers, own, asked, rows)
    assert both.columns.tolist() == answers.columns.tolist()
    assert both["objid"].dtype == np.int64 and both["objid"].tolist() == [2**60 + 1, 2**60 + 3, 0]
    np.testing.assert_array_equal(both["mag_r"], [17, 18, np.nan])
    # A text would be lost.
    both = beside(answers, own.assign(mag_r=["17.0", "faint", "n/a"]), asked, rows)
    assert both["mag_r_listed"].tolist() == ["17.0", "faint", "n/a"] and both["objid"].tolist()[1] == 2**60 + 3


ALL_TYPES = pd.DataFrame(
    {
        "objid": [1237648720693755918, 2, 3],
        "ra": [10.5, np.nan, 3.0],
        "whole": pd.array([1237648720693755918, None, 999999], dtype="Int64"),
        "large": pd.array([2**63 + 1, None, 1], dtype="UInt64"),
        "truth": pd.array([True, None, False], dtype="boolean"),
        "yes": [True, False, True],
        "byte": np.array([1, -2, 3], np.int8),
        "half": np.array([1, 2, 3], np.float16),
        "text": pd.Series(["edge,noise", None, "naïf"], dtype="str"),
        "été": [1, 2, 3],
    }
)


@pytest.mark.parametrize("suffix", [".ecsv", ".fits"])
def test_every_type_is_written(suffix, tmp_path, capfd):
    path = tmp_path / f"t{suffix}"
    write_answers(path, ALL_TYPES)
    again = Table.read(path, format={".ecsv": "ascii.ecsv"}.get(suffix))
    fits = suffix == ".fits"
    assert again["objid"].tolist() == ALL_TYPES["objid"].tolist()
    assert again["whole"].tolist() == [1237648720693755918, None, 999999]
    assert list(map(str, again["large"].tolist())) == [str(2**63 + 1), "None", "1"] or fits
    assert [str(value) for value in again["large"].tolist()][::2] == [str(2**63 + 1), "1"]
    assert np.ma.getmaskarray(again["truth"]).tolist() == [False, True, False]
    assert [str(value) for value in again["truth"].tolist()][::2] == ["True", "False"]
    assert again["yes"].tolist() == [True, False, True]
    assert again["byte"].tolist() == [1, -2, 3]
    assert again["half"].tolist() == [1, 2, 3]
    assert [again["text"][0], again["text"][2]] == ["edge,noise", r"na\xeff" if fits else "naïf"]
    assert again[r"\xe9t\xe9" if fits else "été"].tolist() == [1, 2, 3]
    assert ("escaped in text, été" in capfd.readouterr().err) == fits
    assert str(again["ra"].unit) == "deg"


def test_missing_values_in_parquet_and_csv(tmp_path):
    write_answers(tmp_path / "t.parquet", ALL_TYPES)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), ALL_TYPES)
    write_answers(tmp_path / "t.csv", ALL_TYPES)
    cells = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()]
    assert cells[2] == ["2", "", "", "", "", "False", "-2", "2.0", "", "2"]
