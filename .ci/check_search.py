"""Tries the search of the built documentation in Chromium, as a reader does.

Words are typed into the search box of the front page. A result is clicked, and the page
that comes up has to tell of it. Words that are nowhere have no result, and no page writes
an error to the console. Needs Chromium or Chrome, its driver and Selenium.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 60  # for a page or a search; machines that build are busy
WORDS = "scalar mix"
FOUND = "keras_elmo.ScalarMix"  # has to be among the results
NONSENSE = "zzyzxqq"


class Handler(SimpleHTTPRequestHandler):
    """Serves files without telling of each."""

    def do_GET(self) -> None:
        """Answers as the base class does, but that there is no icon is no error."""
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *arguments: object) -> None:
        """Keeps quiet."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address at which the files of a folder are had."""
    handler = partial(Handler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium without a window, with a profile that is empty."""
    options = webdriver.ChromeOptions()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("There is neither chromium nor google-chrome.")
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (
            *("headless", "disable-gpu", "disable-quic", "no-first-run"),
            *("disable-background-networking", "disable-component-update"),
            *("disable-sync", "window-size=1400,1000", f"user-data-dir={profile}"),
            *(["no-sandbox"] if os.geteuid() == 0 else []),  # root cannot have one
        ):
            options.add_argument(f"--{flag}")
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        driver = webdriver.Chrome(options, service)
        try:
            driver.set_page_load_timeout(SECONDS)
            yield driver
        finally:
            driver.quit()


def search(driver: webdriver.Chrome, site: str, words: str) -> dict[str, WebElement]:
    """Types words into the front page's box; the links that are found, by their titles."""
    driver.get(site)
    box = driver.find_element(By.CSS_SELECTOR, "input.sidebar-search")
    box.send_keys(words, Keys.ENTER)

    def ended(driver: webdriver.Chrome) -> bool:
        summaries = driver.find_elements(By.CSS_SELECTOR, "#search-results > p")
        return any("finished" in p.text or "did not match" in p.text for p in summaries)

    WebDriverWait(driver, SECONDS).until(ended, f"the search for {words!r} goes on")
    links = driver.find_elements(By.CSS_SELECTOR, "#search-results ul.search > li > a")
    return {link.text: link for link in links}


def problems_of(driver: webdriver.Chrome, site: str) -> Iterator[str]:
    """What is wrong with the search, and what the pages write to the console."""
    found = search(driver, site, WORDS)
    print(f"{WORDS!r}: {len(found)} results: {', '.join(found)}")
    if FOUND in found:
        found[FOUND].click()
        wait = WebDriverWait(driver, SECONDS)
        wait.until(lambda d: "search.html" not in d.current_url)
        article = driver.find_element(By.TAG_NAME, "article").text
        if FOUND.rpartition(".")[2] not in article:
            yield f"{driver.current_url}, a result for {WORDS!r}, does not tell of {FOUND}"
    else:
        yield f"searching for {WORDS!r} does not find {FOUND}"
    if found := search(driver, site, NONSENSE):
        yield f"searching for {NONSENSE!r} finds {', '.join(found)}"
    for entry in driver.get_log("browser"):  # of all pages so far
        if entry["level"] == "SEVERE":
            yield f"an error in the console: {entry['message']}"


def main(folder: Path) -> None:
    """Ends with what is wrong, if the search does not find what is there."""
    with served(folder) as site, browser() as driver:
        problems = list(problems_of(driver, site))
    if problems:
        sys.exit("\n".join(problems))
    print("the search works")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
