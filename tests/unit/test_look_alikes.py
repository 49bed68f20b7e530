"""Look-alikes: purities are those that were planted, and the page shows each galaxy in its place, offline."""

import base64
import io
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astromae.asking.search import nearest
from astromae.contracts.shards import write_shard
from astromae.contracts.stamp_format import StampFormat
from astromae.documents.results_page import write_results_page
from astromae.errors import InputError
from astromae.evaluation.feature_sample import MOST, TYPES, read_feature_sample, sample_features
from astromae.evaluation.neighbours import CRITERIA, directions, nearest_others, purity
from astromae.figures.look_alikes import EXAMPLES, NEAREST, principal_plane, write_look_alikes
from astromae.settings.evaluation import Evaluation
from astromae.tables.purity import COLOURS, purity_table, write_purity_table
from browser import assert_quiet, headless_chromium, narrow_screen, open_file
from evaluation_inputs import FIRST_OBJID, galaxy_images

SOURCE = Path(__file__).parents[2] / "workflow" / "report"
N, WIDTH = 240, 12
#: Each row's galaxy, and what a reader sees of its tiles.
TILES = """
return [...document.querySelectorAll("ol[data-example]")].map((row) => [
  row.dataset.example,
  [...row.querySelectorAll("li")].map((tile) => {
    const stamp = tile.querySelector("[role=img]");
    return {
      objid: tile.dataset.objid, title: tile.title, text: tile.innerText.trim(),
      label: stamp.getAttribute("aria-label"), visible: stamp.checkVisibility(),
      width: stamp.getBoundingClientRect().width,
    };
  }),
]);
"""

SETTINGS = Evaluation(bootstrap_samples=100)
#: A Hubble type of each class of `TYPES`.
T = np.array([-5.0, -2.0, 1.0, 3.0, 5.0, 7.0])


def purity_of(neighbours, types, redshifts, against=None, samples=100):
    found = purity(neighbours, types, redshifts, against, samples=samples, confidence=0.95, seed=0)
    return found.set_index("neighbours")


# --- neighbours ---


def test_the_nearest_are_those_of_the_search():
    vectors = np.random.default_rng(0).standard_normal((1500, WIDTH)).astype(np.float16)
    expected, _ = nearest(vectors, vectors, 10, own=np.arange(len(vectors)))
    np.testing.assert_array_equal(nearest_others(directions(vectors), 10), expected)


def test_the_nearest_of_few_and_of_equal_points():
    assert nearest_others(np.arange(3.0)[:, None], 10).tolist() == [[1, 2], [0, 2], [1, 0]]
    assert nearest_others(np.zeros((4, 2)), 2).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_purity_against_a_count_of_all_pairs():
    random = np.random.default_rng(1)
    vectors, types = random.standard_normal((N, WIDTH)), random.integers(0, 3, N)
    # in steps of 0.01, so that many pairs differ by 0.02 but for rounding
    z = np.round(random.uniform(0, 0.3, N), 2)
    rows = nearest_others(vectors, 7)
    found = purity_of({"a": [rows, rows[::-1]]}, types, z)
    same, close = types == types[:, None], np.abs(z - z[:, None]) < 0.02
    for criterion, like in zip(CRITERIA, (same, close, same & close), strict=True):
        column = f"purity_{criterion}"
        assert found.loc["chance", column] == pytest.approx((like.sum() - N) / (N * (N - 1)))
        means = [np.take_along_axis(like, near, axis=1).mean() for near in (rows, rows[::-1])]
        assert found.loc["a", column] == pytest.approx(np.mean(means))
        assert (found[f"{column}_low"] <= found[column] + 1e-12).all()
        assert (found[column] <= found[f"{column}_high"] + 1e-12).all()
    assert found.filter(like="gain").isna().all(axis=None)


def test_purity_of_planted_clusters_and_what_it_is_held_against():
    cluster = np.arange(N) % 4
    vectors = np.eye(WIDTH)[cluster] + 0.05 * np.random.default_rng(0).standard_normal((N, WIDTH))
    noise = np.random.default_rng(1).standard_normal((N, 3))
    neighbours = {"a": [nearest_others(vectors, 10)], "noise": [nearest_others(noise, 10)]}
    found = purity_of(neighbours, cluster, 0.1 * cluster, "noise")
    assert found.loc["a", [f"purity_{name}" for name in CRITERIA]].tolist() == [1, 1, 1]
    chance = (N / 4 - 1) / (N - 1)
    assert found.loc["chance", "purity_type"] == pytest.approx(chance)
    assert found.loc["noise", "purity_type"] == pytest.approx(chance, abs=0.06)
    gain = found.loc["a", ["gain_type_low", "gain_type", "gain_type_high"]].to_numpy(float)
    assert gain[1] == pytest.approx(1 - found.loc["noise", "purity_type"]) and (np.diff(gain) > 0).all()
    assert found.loc[["noise", "chance"]].filter(like="gain").isna().all(axis=None)


def test_intervals_are_as_wide_as_the_mean_of_independent_galaxies():
    types = np.random.default_rng(1).integers(0, 2, 1000)
    rows = nearest_others(np.random.default_rng(0).standard_normal((1000, WIDTH)), 1)
    found = purity_of({"a": [rows]}, types, None, samples=1000).loc["a"]
    assert (found.purity_type_high - found.purity_type_low) / (2 * 1.96) == pytest.approx(0.5 / 1000**0.5, rel=0.1)
    assert np.isnan(found.purity_redshift) and np.isnan(found.purity_type_redshift)


# --- samples of features, and the table ---


def features_file(path, objid, vectors):
    with h5py.File(path, "w") as file:
        for subset in ("train", "val", "test"):
            file[f"{subset}_objid"] = objid
        file["test"] = vectors.astype(np.float16)
        file["val"] = np.flipud(vectors).astype(np.float16)
    return path


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Folder of a catalogue of six types, features of two encoders that know them or do not, and stamps."""
    folder = tmp_path_factory.mktemp("planted")
    objid, kind = np.arange(N) + FIRST_OBJID, np.arange(N) % len(T)
    random = np.random.default_rng(0)
    table = pd.DataFrame({"objid": objid[::-1], "z": 0.05 * kind[::-1] + 0.01, "hubble_type": T[kind][::-1]})
    for band in "ugriz":
        table[f"mag_{band}"] = random.normal(17, 1, N)
    table.to_parquet(folder / "galaxies.parquet")
    knows = np.eye(WIDTH)[kind] + 0.05 * random.standard_normal((N, WIDTH))
    features_file(folder / "a42.h5", objid, knows)
    features_file(folder / "a43.h5", objid, knows[:, ::-1])
    features_file(folder / "b42.h5", objid, random.standard_normal((N, WIDTH)))
    write_shard(
        folder / "0000.h5", objid, galaxy_images(N), StampFormat(tuple("ugriz"), 0.396, 64), "embedded", "lanczos3"
    )
    take(folder, folder / "sample.h5")
    return folder


def take(folder, output, catalog="galaxies.parquet", seed=42):
    files = [folder / f"{name}.h5" for name in ("a42", "a43", "b42")]
    sample_features(files, ["a", "a", "b"], folder / catalog, "test", seed, output)
    return read_feature_sample(output)


def test_a_sample_has_each_galaxy_with_its_own_features(planted, tmp_path):
    sample = take(planted, tmp_path / "s.h5")
    assert (tmp_path / "s.h5").read_bytes() == (planted / "sample.h5").read_bytes()
    assert {name: vectors.shape for name, vectors in sample.features.items()} == {
        "a": (2, N, WIDTH),
        "b": (1, N, WIDTH),
    }
    assert sample.galaxies["objid"].tolist() == list(range(FIRST_OBJID, FIRST_OBJID + N)) and sample.bands == tuple(
        "ugriz"
    )
    np.testing.assert_array_equal(sample.types, np.arange(N) % len(TYPES))
    np.testing.assert_array_equal(sample.features["a"][0].argmax(axis=1), sample.types)
    np.testing.assert_allclose(sample.redshifts, 0.05 * sample.types + 0.01)


def test_a_sample_is_drawn_by_its_seed_and_no_larger_than_a_page(tmp_path):
    objid = np.arange(MOST + 500)
    pd.DataFrame({"objid": objid, "z": 0.1}).to_parquet(tmp_path / "galaxies.parquet")
    for name in ("a42", "a43", "b42"):
        features_file(tmp_path / f"{name}.h5", objid, np.stack([objid, objid + 1], axis=1) / len(objid))
    one, other = (take(tmp_path, tmp_path / f"{seed}.h5", seed=seed) for seed in (1, 2))
    assert len(one.galaxies) == MOST and not one.galaxies["objid"].equals(other.galaxies["objid"])
    np.testing.assert_array_equal(one.features["a"][0][:, 0], (one.galaxies["objid"] / len(objid)).astype(np.float16))
    assert one.types is None and one.bands == ()


def test_galaxies_without_what_others_have_are_not_taken(planted, tmp_path):
    table = pd.read_parquet(planted / "galaxies.parquet")
    table["mag_u"] = np.nan  # of all: then there are no colours
    table.loc[0, "z"] = np.nan
    table.to_parquet(tmp_path / "galaxies.parquet")
    files = [planted / "a42.h5"]
    sample_features(files, ["a"], tmp_path / "galaxies.parquet", "val", 42, tmp_path / "s.h5")
    sample = read_feature_sample(tmp_path / "s.h5")
    assert len(sample.galaxies) == N - 1 and table["objid"][0] not in set(sample.galaxies["objid"])
    assert list(sample.galaxies) == ["objid", "z", "hubble_type"] and sample.bands == ()
    table[table["objid"] == FIRST_OBJID].to_parquet(tmp_path / "galaxies.parquet")
    with pytest.raises(InputError, match=r"galaxies\.parquet: knows 1 of the val galaxies .*; two are needed"):
        sample_features(files, ["a"], tmp_path / "galaxies.parquet", "val", 42, tmp_path / "s.h5")
    assert len(read_feature_sample(tmp_path / "s.h5").galaxies) == N - 1


def test_files_that_are_no_features_are_named(planted, tmp_path):
    other = features_file(tmp_path / "other.h5", np.arange(N), np.ones((N, WIDTH)))
    for second, message in (
        (other, r"other\.h5: its test galaxies are not those of .*a42\.h5"),
        (planted / "0000.h5", r"0000\.h5: no readable features of test galaxies"),
    ):
        with pytest.raises(InputError, match=message):
            sample_features(
                [planted / "a42.h5", second], ["a", "b"], planted / "galaxies.parquet", "test", 42, tmp_path / "s.h5"
            )
    with pytest.raises(InputError, match=r"0000\.h5: not a readable sample of features"):
        read_feature_sample(planted / "0000.h5")


def test_the_table_has_encoders_colours_and_chance(planted, tmp_path):
    write_purity_table(
        [planted / "sample.h5"], ["one"], ["Experiment 1"], SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex"
    )
    table = pd.read_csv(tmp_path / "t.csv").set_index("neighbours")
    assert list(table.index) == ["a", "b", COLOURS, "chance"]
    assert table["n_seeds"].fillna(0).tolist() == [2, 1, 0, 0]
    assert (table["galaxies"] == N).all() and (table["nearest"] == 10).all() and (table["experiment"] == "one").all()
    assert table.loc["a", "purity_type_redshift"] == 1
    assert table.loc["chance", "purity_type"] == pytest.approx((N / 6 - 1) / (N - 1))
    assert table.loc["a", "gain_type_low"] > 0.7 and abs(table.loc["b", "gain_type"]) < 0.1
    text = (tmp_path / "t.tex").read_text()
    assert "same type" in text and "a encoder & $1$ [$1$, $1$]" in text and r"{Experiment 1} \\" in text


def test_of_a_survey_without_types_the_table_gives_redshifts(planted, tmp_path):
    pd.read_parquet(planted / "galaxies.parquet").drop(columns="hubble_type").to_parquet(tmp_path / "galaxies.parquet")
    files = [planted / "a42.h5"]
    sample_features(files, ["a"], tmp_path / "galaxies.parquet", "test", 42, tmp_path / "s.h5")
    write_purity_table([tmp_path / "s.h5"], ["one"], ["One"], SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex")
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["purity_type"].isna().all() and table["purity_redshift"].notna().all()
    assert "& same type" not in (tmp_path / "t.tex").read_text()


def test_of_galaxies_of_which_nothing_is_known_the_table_has_no_rows(planted, tmp_path):
    pd.read_parquet(planted / "galaxies.parquet")[["objid"]].assign(z=np.nan).to_parquet(tmp_path / "galaxies.parquet")
    sample_features([planted / "a42.h5"], ["a"], tmp_path / "galaxies.parquet", "test", 42, tmp_path / "s.h5")
    assert purity_table([tmp_path / "s.h5"], ["one"], SETTINGS).empty
    write_purity_table([tmp_path / "s.h5"], ["one"], ["One"], SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex")
    assert pd.read_csv(tmp_path / "t.csv").empty


# --- what the page shows ---


def test_the_plane_holds_most_of_the_variance_with_one_sign():
    random = np.random.default_rng(0)
    vectors = random.standard_normal((500, WIDTH)) * np.r_[5, 3, np.full(WIDTH - 2, 0.1)]
    positions, explained = principal_plane(vectors)
    # the first two axes, but for what chance correlates
    correlations = np.corrcoef(positions.T, vectors[:, :2].T)[:2, 2:]
    assert (np.abs(np.diag(correlations)) > 0.97).all()
    assert explained[0] > explained[1] > 0.2 and 0.99 < explained.sum() <= 1
    again, _ = principal_plane(vectors[::-1])
    np.testing.assert_allclose(again[::-1], positions, atol=1e-9)
    assert principal_plane(np.ones((3, 1)))[0].shape == (3, 2)


@pytest.fixture(scope="module")
def look_alikes(planted):
    write_look_alikes(planted / "sample.h5", [planted / "0000.h5"], "experiment1", "a", 32, 42, planted / "l.json")
    return planted / "l.json"


def test_examples_are_spread_over_redshift_beside_their_nearest(planted, look_alikes):
    from PIL import Image

    held = json.loads(look_alikes.read_text())
    sample = read_feature_sample(planted / "sample.h5")
    expected = nearest_others(directions(sample.features["a"][0]), NEAREST)
    assert len(held["examples"]) == EXAMPLES
    for row, *others in held["examples"]:
        assert others == expected[row].tolist()
    redshifts = sample.redshifts[[example[0] for example in held["examples"]]]
    assert (np.diff(redshifts) >= 0).all() and len(set(np.round(redshifts, 3))) == 6
    assert held["galaxies"]["objid"] == list(map(str, sample.galaxies["objid"]))
    sheet = Image.open(io.BytesIO(base64.b64decode(held["sheet"])))
    assert (held["side"], held["columns"]) == (32, 16) and sheet.size == (16 * 32, 15 * 32)
    assert look_alikes.stat().st_size < N * 1500


def test_an_encoder_that_is_not_there_is_named(planted, tmp_path):
    with pytest.raises(InputError, match="has no features of c; it has those of a, b"):
        write_look_alikes(planted / "sample.h5", [planted / "0000.h5"], "one", "c", 32, 42, tmp_path / "l.json")


@pytest.fixture(scope="module")
def page(results, planted, look_alikes):
    """The page of a synthetic run, with the planted galaxies."""
    tables = planted / "purity.csv"
    write_purity_table([planted / "sample.h5"], ["experiment1"], ["One"], SETTINGS, tables, planted / "purity.tex")
    output = planted / "index.html"
    write_results_page(SOURCE, results["values"], [], {}, [tables], planted / "a.pdf", output, look_alikes=look_alikes)
    return output


@pytest.fixture(scope="module")
def browser():
    with headless_chromium() as running:
        yield running


def shown(browser):
    """Return what the page says of the galaxy that it shows."""
    names, values = ([it.text for it in browser.find_elements("css selector", f"#shown {tag}")] for tag in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


def said(held, row):
    galaxies = held["galaxies"]
    return {
        "objid": galaxies["objid"][row],
        "redshift": f"{galaxies['z'][row]:.4f}",
        "r magnitude": f"{galaxies['magnitude'][row]:.2f}",
        "type": held["types"][galaxies["type"][row]],
    }


def lonely(held, count):
    """Return points that no other one is near: a pointer that is a pixel off still means them."""
    places = np.column_stack([held["galaxies"]["x"], held["galaxies"]["y"]])
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(apart, np.inf)
    return np.argsort(-apart.min(axis=1))[:count]


def test_a_point_shows_its_galaxy(browser, page, look_alikes):
    from selenium.webdriver import ActionChains

    held = json.loads(look_alikes.read_text())
    open_file(browser, page)
    points = browser.find_elements("css selector", "#map circle[data-objid]")
    assert [point.get_attribute("data-objid") for point in points] == held["galaxies"]["objid"]
    for number, row in enumerate(lonely(held, 6)):
        browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", points[row])
        pointed = ActionChains(browser).move_to_element(points[row])
        (pointed if number % 2 else pointed.click()).perform()
        assert shown(browser) == said(held, row)
        stamp = browser.find_element("css selector", "#shown .stamp")
        assert held["galaxies"]["objid"][row] in stamp.get_attribute("aria-label")
        # The part of the sheet that is seen is that galaxy's.
        seen = stamp.value_of_css_property("background-position")
        side = stamp.size["width"]
        x, y = (float(part.removesuffix("px")) for part in seen.split())
        assert (-x / side, -y / side) == pytest.approx((row % held["columns"], row // held["columns"]), abs=0.01)
    assert_quiet(browser)


def test_arrow_keys_go_from_galaxy_to_galaxy(browser, page, look_alikes):
    from selenium.webdriver.common.keys import Keys

    held = json.loads(look_alikes.read_text())
    galaxies = held["galaxies"]
    open_file(browser, page)
    first = browser.find_element("id", "shown").get_attribute("data-objid")
    assert first == galaxies["objid"][held["examples"][0][0]]
    image = browser.find_element("id", "map")
    before = galaxies["x"][galaxies["objid"].index(first)]
    moved = 0
    for _ in range(5):
        image.send_keys(Keys.ARROW_RIGHT)
        after = galaxies["x"][galaxies["objid"].index(browser.find_element("id", "shown").get_attribute("data-objid"))]
        assert after >= before
        moved, before = moved + (after > before), after
    assert moved or before == max(galaxies["x"])
    assert_quiet(browser)


def test_buttons_colour_the_points(browser, page, look_alikes):
    held = json.loads(look_alikes.read_text())
    open_file(browser, page)
    buttons = browser.find_elements("css selector", "#colours button")
    assert [button.text for button in buttons] == ["redshift", "r magnitude", "type"]

    def fills():
        return browser.execute_script(
            "return [...document.querySelectorAll('#map circle[data-objid]')].map((it) => it.getAttribute('fill'))"
        )

    found = {}
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", buttons[0])
    for button in buttons:
        button.click()
        assert [it.get_attribute("aria-pressed") == "true" for it in buttons] == [it == button for it in buttons]
        found[button.get_attribute("data-by")] = fills()
        assert browser.find_element("id", "legend").text
    assert found["z"] != found["magnitude"] != found["type"]
    # galaxies of one type have one colour, those of another another
    pairs = set(zip(held["galaxies"]["type"], found["type"], strict=True))
    assert len(pairs) == len({colour for _, colour in pairs}) == len(TYPES)
    assert browser.find_element("id", "legend").text.split() == list(TYPES)
    # and of one redshift here too
    assert len(set(zip(held["galaxies"]["z"], found["z"], strict=True))) == len(TYPES)
    buttons[0].send_keys(" ")
    assert buttons[0].get_attribute("aria-pressed") == "true" and fills() == found["z"]
    assert_quiet(browser)


def test_twelve_galaxies_stand_beside_their_nearest(browser, page, look_alikes):
    held = json.loads(look_alikes.read_text())
    open_file(browser, page)
    rows = browser.execute_script(TILES)
    assert len(rows) == EXAMPLES
    for (first, tiles), example in zip(rows, held["examples"], strict=True):
        objid = [held["galaxies"]["objid"][place] for place in example]
        assert first == objid[0] and [tile["objid"] for tile in tiles] == objid
        for tile, place in zip(tiles, example, strict=True):
            assert tile["visible"] and tile["width"] > 50
            for value in said(held, place).values():
                assert value in tile["label"] == tile["title"]
            expected = f"{held['galaxies']['z'][place]:.3f} {held['types'][held['galaxies']['type'][place]]}"
            assert tile["text"] == expected
    cells = [row.text for row in browser.find_elements("css selector", "#purity tbody tr")]
    assert [text.split(" %")[0].rsplit(" ", 1)[0] for text in cells] == ["by the a encoder", f"in {COLOURS}", "chance"]
    assert "100.0 %" in cells[0]
    assert_quiet(browser)


def test_the_page_fits_a_narrow_screen_and_says_what_the_script_is(browser, page):
    open_file(browser, page)
    with narrow_screen(browser):
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert browser.find_element("id", "map").is_displayed()
    # The policy lets that script run and none that somebody adds.
    browser.execute_script(
        "const it = document.createElement('script'); it.textContent = 'window.ran = 1'; document.body.append(it)"
    )
    assert browser.execute_script("return window.ran === undefined")


def test_what_a_survey_does_not_know_is_not_shown(browser, results, planted, tmp_path):
    pd.read_parquet(planted / "galaxies.parquet")[["objid"]].assign(z=np.nan).to_parquet(tmp_path / "galaxies.parquet")
    sample_features([planted / "a42.h5"], ["a"], tmp_path / "galaxies.parquet", "test", 42, tmp_path / "s.h5")
    write_look_alikes(tmp_path / "s.h5", [planted / "0000.h5"], "experiment1", "a", 32, 42, tmp_path / "l.json")
    output = tmp_path / "index.html"
    write_results_page(
        SOURCE, results["values"], [], {}, [], tmp_path / "a.pdf", output, look_alikes=tmp_path / "l.json"
    )
    open_file(browser, output)
    assert not browser.find_elements("css selector", "#colours button, #purity")
    assert list(shown(browser)) == ["objid"]
    assert len(browser.find_elements("css selector", "ol[data-example]")) == EXAMPLES
    assert_quiet(browser)


def test_a_file_that_is_no_look_alikes_is_named(results, tmp_path):
    (tmp_path / "l.json").write_text("{}")
    with pytest.raises(InputError, match=r"l\.json: not a readable file of look-alikes"):
        write_results_page(
            SOURCE,
            results["values"],
            [],
            {},
            [],
            tmp_path / "a.pdf",
            tmp_path / "i.html",
            look_alikes=tmp_path / "l.json",
        )
    assert not (tmp_path / "i.html").exists()
