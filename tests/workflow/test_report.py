"""The results page and Snakemake's report, opened in a real browser that reaches no network."""

import base64
import json
import math
import re
import zipfile

import pandas as pd
import pytest
from astromae.tasks.redshift import METRICS
from browser import assert_quiet, headless_chromium, narrow_screen, open_file
from preset import PRESET

pytestmark = pytest.mark.workflow

#: Largest file that the project allows a report to be, bytes.
LIMIT = 25_000_000

# What a reader sees of an image.
IMAGE = """
const [image] = arguments, box = image.getBoundingClientRect();
return {done: image.complete, pixels: image.naturalWidth, width: box.width, height: box.height};
"""


@pytest.fixture(scope="module")
def browser():
    with headless_chromium() as running:
        yield running


def wait(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 20).until(lambda _: condition())


def assert_visible(browser, image):
    wait(browser, lambda: browser.execute_script(IMAGE, image)["done"])
    seen = browser.execute_script(IMAGE, image)
    assert seen["pixels"] > 0 and seen["width"] > 100 and seen["height"] > 50, seen
    assert image.is_displayed()


@pytest.fixture(scope="module")
def results(finished):
    return finished.folder / "results"


@pytest.fixture(scope="module")
def page(results):
    return results / "report/index.html"


@pytest.fixture(scope="module")
def reports(finished, tmp_path_factory):
    """Snakemake's report of the run as one file, and as archive, unpacked."""
    folder = tmp_path_factory.mktemp("reports")
    for kind in ("html", "zip"):
        path = folder / f"snakemake.{kind}"
        ran = finished.snakemake(*PRESET, "--report", str(path))
        assert ran.returncode == 0, ran.stdout[-5000:]
        assert path.stat().st_size < LIMIT
    with zipfile.ZipFile(folder / "snakemake.zip") as archive:
        archive.extractall(folder)
    return {"html": folder / "snakemake.html", "zip": folder / "snakemake/report.html"}


# --- the results page ---


def test_page_opens_and_every_figure_is_visible(browser, page, results):
    assert page.stat().st_size < LIMIT
    open_file(browser, page)
    shown = {
        it.get_attribute("id"): it.find_element("tag name", "img")
        for it in browser.find_elements("css selector", "figure")
    }
    assert set(shown) == {path.stem for path in (results / "figures").glob("*.png")}
    for image in shown.values():
        browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", image)
        assert_visible(browser, image)
    for caption in browser.find_elements("tag name", "figcaption"):
        assert len(caption.text) > 30 and "{" not in caption.text
    assert_quiet(browser)


@pytest.mark.parametrize("table", ["table4", "table5"])
def test_rows_of_the_page_are_those_of_the_table(browser, page, results, table):
    """Each number with its own decimals is the table's, rounded; bold where the table says best."""
    rows = pd.read_csv(results / f"tables/{table}.csv").set_index("model")
    open_file(browser, page)
    shown = browser.find_elements("css selector", f"table[data-table={table}] tr[data-model]")
    assert [row.get_attribute("data-model") for row in shown] == list(rows.index)
    for row in shown:
        expected = rows.loc[row.get_attribute("data-model")]
        name, _, *cells = row.find_elements("css selector", "th, td")
        assert name.is_displayed() and name.text
        assert len(cells) == len(METRICS)
        for metric, cell in zip(METRICS, cells, strict=True):
            assert cell.is_displayed() and cell.size["height"] > 10
            numbers = re.findall(r"-?\d+\.\d+|-?\d+", cell.text.replace("−", "-"))
            assert len(numbers) == 3, cell.text
            for text, value in zip(numbers, expected[[metric, f"{metric}_low", f"{metric}_high"]], strict=True):
                assert float(text) == pytest.approx(round(value, len(text.partition(".")[2])), abs=1e-12)
            assert bool(cell.find_elements("tag name", "b")) == bool(expected[f"{metric}_best"])


@pytest.mark.parametrize("experiment", ["experiment1", "experiment2"])
def test_page_says_what_every_training_took(browser, page, results, experiment):
    costs = pd.read_csv(results / "tables/cost.csv")
    costs = costs[costs["experiment"] == experiment]
    open_file(browser, page)
    shown = browser.find_elements("css selector", f"table[data-costs={experiment}] tr[data-model]")
    assert [row.get_attribute("data-model") for row in shown] == costs["model"].tolist()
    for row, (_, expected) in zip(shown, costs.iterrows(), strict=True):
        name, parameters, _, time, *_, memory = row.find_elements("css selector", "th, td")
        assert name.is_displayed() and name.text
        if math.isnan(expected["parameters"]):  # trees have none
            assert parameters.text == "–"
        else:
            assert float(parameters.text) == pytest.approx(expected["parameters"] / 1e6, abs=0.0051)
        hours, minutes, seconds = map(float, time.text.split(":"))
        assert 3600 * hours + 60 * minutes + seconds == pytest.approx(expected["wall_s"], abs=0.51)
        assert float(memory.text) == pytest.approx(expected["peak_memory_mb"] / 1024, abs=0.051)


def test_page_says_what_is_simulated_and_where_the_run_comes_from(browser, page, results):
    open_file(browser, page)
    assert "Simulated:" in browser.find_element("id", "simulated").text
    text = browser.find_element("tag name", "body").text
    survey = json.loads((results / "values/survey.json").read_text())
    experiment = json.loads((results / "values/experiment1.json").read_text())
    for said in (survey["source"], survey["counts"]["stamps"], survey["simulated"], experiment["provenance"]["time"]):
        assert said in text
    for entry in experiment["provenance"]["versions"]:
        assert f"{entry['package']} {entry['version']}" in text


def test_page_carries_the_tables_and_leads_to_the_paper(browser, page, results):
    open_file(browser, page)
    (paper,) = browser.find_elements("css selector", "#files ~ p a[href]")
    assert paper.get_attribute("href") == (results / "paper/astromae.pdf").as_uri()
    links = {it.get_attribute("download"): it for it in browser.find_elements("css selector", "a[download]")}
    assert {"table4.csv", "table4.tex", "table5.csv", "table5.tex", "models.json"} <= set(links)
    for name, link in links.items():
        (path,) = results.rglob(name)
        assert base64.b64decode(link.get_attribute("href").partition(",")[2]) == path.read_bytes()


def test_page_fits_a_narrow_screen(browser, page):
    open_file(browser, page)
    with narrow_screen(browser):
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


def test_page_shows_look_alikes_and_a_map_of_them(browser, page, results):
    """Twelve galaxies with their nearest; each point shows its galaxy."""
    held = json.loads((results / "samples/look-alikes.json").read_text())
    open_file(browser, page)
    rows = browser.find_elements("css selector", "ol[data-example]")
    objid = held["galaxies"]["objid"]
    assert [row.get_attribute("data-example") for row in rows] == [objid[example[0]] for example in held["examples"]]
    assert len(rows) == 12
    points = browser.find_elements("css selector", "#map circle[data-objid]")
    assert [point.get_attribute("data-objid") for point in points] == objid
    assert len(browser.find_elements("css selector", "#purity tbody tr")) == 3
    assert_quiet(browser)


def test_page_made_again_is_the_same(finished, page):
    before = page.read_bytes()
    ran = finished.snakemake("--cores", "1", *PRESET, "--forcerun", "results_page", "--", "results_page")
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert page.read_bytes() == before


# --- Snakemake's report ---


def expected_items(results):
    kinds = {"figures": {".pdf", ".png"}, "tables": {".csv", ".tex"}, "paper": {".pdf"}, "report": {".html"}}
    return {"results/tables/models.json"} | {
        f"results/{folder}/{path.name}"
        for folder, suffixes in kinds.items()
        for path in (results / folder).iterdir()
        if path.suffix in suffixes and path.stem != "snakemake"
    }


@pytest.mark.parametrize("kind", ["html", "zip"])
def test_report_opens_and_shows_every_item(browser, reports, results, kind):
    open_file(browser, reports[kind])
    wait(browser, lambda: browser.find_elements("tag name", "nav"))
    items = browser.execute_script("return results")
    assert set(items) == expected_items(results)
    for path, item in items.items():
        assert len(item["caption"]) > 30, path
        assert item["labels"]["result"] and item["labels"]["format"], path
    assert set(browser.execute_script("return categories")) == {"Figures", "Tables", "Paper", "Results page"}
    for path in items:
        if path.endswith(".png"):
            browser.execute_script(
                "const [path] = arguments;"
                "app.setView({content: 'img', contentPath: results[path].data_uri, resultPath: path})",
                path,
            )
            source = items[path]["data_uri"]
            (image,) = wait(
                browser, lambda source=source: browser.find_elements("css selector", f"img[src={json.dumps(source)}]")
            )
            assert_visible(browser, image)
    assert_quiet(browser)


def test_report_is_found_through_by_clicking(browser, reports):
    """From the menu to a figure, and to the results page in its frame."""
    open_file(browser, reports["zip"])

    def click(text):
        links = wait(browser, lambda: [it for it in browser.find_elements("css selector", "nav a") if it.text == text])
        links[0].click()

    click("Figures")
    click("Experiment 1")
    wait(browser, lambda: "Predicted against spectroscopic redshift" in browser.find_element("tag name", "nav").text)
    open_file(browser, reports["zip"])
    click("Results page")
    wait(browser, lambda: browser.find_elements("css selector", "nav table a"))[0].click()
    (frame,) = wait(browser, lambda: browser.find_elements("tag name", "iframe"))
    browser.switch_to.frame(frame)
    try:
        assert wait(browser, lambda: browser.find_elements("css selector", "tr[data-model]"))[0].text
    finally:
        browser.switch_to.default_content()
    assert_quiet(browser)


def test_report_says_what_is_simulated_and_how_long_each_step_took(browser, reports):
    open_file(browser, reports["zip"])
    wait(browser, lambda: "pixels are simulated" in browser.find_element("tag name", "body").text.replace("\n", " "))
    browser.execute_script("app.setView({content: 'stats'})")
    wait(browser, lambda: len(browser.find_elements("css selector", "#runtimes canvas, #timeline canvas")) == 2)
    charts = browser.find_elements("css selector", "#runtimes canvas, #timeline canvas")
    assert all(chart.size["width"] > 100 and chart.size["height"] > 100 for chart in charts)
    steps = browser.execute_script("return runtimes_spec.data.values")
    assert {"pretrain", "train", "table", "results_page"} <= {step["rule"] for step in steps}
    assert all(step["runtime"] >= 0 for step in steps)
    assert_quiet(browser)
