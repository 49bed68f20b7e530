"""A real browser without a window and without a network, for pages that need neither."""

import contextlib
import json
import shutil

import pytest


@contextlib.contextmanager
def headless_chromium():
    """Yield Chromium; skip the test where it is not installed."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        pytest.skip("chromium or chromedriver (Debian packages chromium, chromium-driver) is not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    # Chromium's sandbox does not work for root; no name but the driver's own address resolves.
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,1000"):
        options.add_argument(f"--{argument}")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    running.set_script_timeout(30)
    try:
        yield running
    finally:
        running.quit()


def open_file(browser, path):
    """Open a file from disk in a browser whose logs are empty."""
    browser.get("about:blank")
    for name in ("browser", "performance"):
        browser.get_log(name)
    browser.get(path.as_uri())


def assert_quiet(browser):
    """No error on the console, and nothing asked for but files and what is inside them."""
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [it["params"]["request"]["url"] for it in events if it["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob", "about"}


@contextlib.contextmanager
def narrow_screen(browser):
    """Give the page the screen of a phone."""
    size = browser.get_window_size()
    try:
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": False}
        )
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.set_window_size(**size)
