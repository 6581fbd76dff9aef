#!/usr/bin/env python3
"""Why: people will trust what the page of "pluck report" shows when they move its sliders. So it is
opened in a real browser, its controls are used as people use them, and what it displays must be
what the library computes for the same settings; it must load nothing, fit narrow and wide screens,
and be usable by keyboard. The page must be good HTML without a browser too.

    test_report_page.py --pluck PLUCK [--screenshots FOLDER] [TEST...]

With --screenshots it only takes the pictures of the documentation. Browser tests are skipped
without Chromium, its driver and python3-selenium.
"""
import base64
import html.parser
import json
import math
import pathlib
import random
import re
import shutil
import struct
import sys
import unittest

from command_case import CommandCase, DATA_FOLDER, main
from make_inputs import npy

try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    HAS_BROWSER = all(map(shutil.which, ("chromium", "chromedriver")))
except ImportError:
    HAS_BROWSER = False

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VOID = {"meta", "link", "input", "br", "col"}
FLAGS = {"temperature": "temperature", "top-k": "top-k", "typical": "typical-p", "top-p": "top-p",
         "min-p": "min-p"}
NEUTRAL = {"temperature": 1, "top-k": 0, "typical": 1, "top-p": 1, "min-p": 0}
SETTINGS = [
    {}, {"temperature": 0.5}, {"temperature": 2.5}, {"top-k": 7}, {"top-p": 0.9}, {"min-p": 0.03},
    {"typical": 0.6}, {"typical": 0.95, "temperature": 1.4}, {"top-k": 40, "top-p": 0.95},
    {"temperature": 0.8, "top-k": 50, "typical": 0.9, "top-p": 0.8, "min-p": 0.02},
]


class Balance(html.parser.HTMLParser):
    """Whether tags nest, ids are unique and what has to be named is."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.wrong, self.labelled = [], set(), [], set()
        self.named = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if attributes.get("id") in self.ids:
            self.wrong.append(f"id {attributes['id']} twice")
        self.ids.add(attributes.get("id", f"none {len(self.ids)}"))
        if tag == "label":
            self.labelled.add(attributes["for"])
        if tag in ("input", "select") and "aria-label" not in attributes:
            self.named.append(attributes["id"])
        for name in ("src", "href"):
            if name in attributes and not attributes[name].startswith("data:"):
                self.wrong.append(f"loads {attributes[name]}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")


class PageIsGood(CommandCase):
    def report(self, line):
        self.run_line(f"pluck report {line} -o r.html")
        return (self.folder / "r.html").read_text(encoding="utf-8")

    def check(self, text):
        parser = Balance()
        parser.feed(text)
        self.assertEqual((parser.wrong, parser.open), ([], []))
        self.assertEqual(set(parser.named) - parser.labelled, set())
        self.assertNotRegex(text.split("<script")[0], r"[^a-z]nan[^a-z]|http(?!://www\.w3\.org)")
        self.assertLess(len(text.encode()), 2000000)

    def test_pages_are_whole_and_small(self):
        for line in ("logits.npy --targets targets.npy --vocab vocab.json", "logits.npy",
                     "gpt2.npy --targets gpt2_targets.npy --vocab gpt2_vocab.json", "a.npy b.npy",
                     "small.npy --vocab vocab8.json", "one.npy", "logits.npy --explore 64",
                     "logits.npy --targets targets.npy --rows 3"):
            self.check(self.report(line))

    def test_a_text_cannot_end_the_script(self):
        tokens = ["</script><b>", "<!--", "\u2028", "a", "b", "c", '"', "\\"]
        (self.folder / "evil.json").write_text(json.dumps(tokens))
        text = self.report("small.npy --vocab evil.json")
        self.check(text)
        data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
        shown = {token: name for token, name in data["rows"][0]["tokens"]}
        self.assertEqual([shown[i] for i in range(8)], tokens)

    def test_wrong_input_leaves_no_page(self):
        for line, part in (("nan.npy", "token 17"), ("banned.npy", "row 1"),
                           ("logits.npy --targets gpt2_targets.npy", "4 targets"),
                           ("- < logits.npy", "can be read only once")):
            self.run_line(f"pluck report {line} -o r.html", code=3)
            self.assertIn(part, self.stderr)
        self.run_line("pluck report a.npy b.npy --targets targets.npy -o r.html", code=2)
        self.assertNotIn("r.html", self.names())


@unittest.skipUnless(shutil.which("node"), "node is not installed")
class NumbersAgree(CommandCase):
    """The script of the page, run by node, against the library: where settings meet a boundary
    exactly, tokens are tied, and at random."""

    def rows(self, line):
        self.run_line(f"pluck report {line} -o r.html")
        text = (self.folder / "r.html").read_text(encoding="utf-8")
        return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))["rows"]

    def compute(self, rows, settings):
        whole = [{**NEUTRAL, **s} for s in settings]
        script = ROOT / "cli" / "report" / "report.js"
        (self.folder / "in.json").write_text(json.dumps({"rows": rows, "settings": whole}))
        return json.loads(self.run_line(
            f"node {HERE / 'report_numbers.js'} {script} < in.json"))

    def check(self, dump, line, settings):
        rows = self.rows(line)
        for row, results in zip(rows, self.compute(rows, settings)):
            for chosen, found in zip(settings, results):
                said = f"{dump}, row {row['row']}, {chosen}"
                flags = " ".join(f"--{FLAGS[name]} {value!r}" for name, value in chosen.items())
                expected = json.loads(self.run_line(
                    f"pluck inspect {dump} --row {row['row']} --top 60000 --format json {flags}"))
                self.assertFalse(found["isApproximate"], said)
                self.assertEqual(found["survivors"], expected["survivors"], said)
                self.assertAlmostEqual(found["entropy"], expected["entropy"], delta=5e-7, msg=said)
                library = {t["token"]: t["prob"] for t in expected["top"]}
                for token, p in found["tokens"]:
                    self.assertAlmostEqual(p, library.get(token, -1), delta=5e-7, msg=said)
                self.assertEqual(len(found["tokens"]),
                                 len([t for t, _ in row["tokens"] if t in library]), said)
                if row["target"] is not None:
                    self.assertAlmostEqual(found["target"], library.get(row["target"], 0),
                                           delta=5e-7, msg=said)

    def test_boundaries_and_ties(self):
        probabilities = [[.5, .3, .1, .1], [.25, .25, .25, .25], [.4, .3, .2, .1], [.7, .1, .1, .1]]
        rows = [[math.log(p) for p in row] for row in probabilities]
        rows += [[1, 3, 1, 3], [0, 0, 5, 5], [2, 1, 1, 2]]
        (self.folder / "edges.npy").write_bytes(npy(rows))
        settings = [{name: value / 20} for name in ("top-p", "typical", "min-p")
                    for value in (5, 8, 10, 12, 14, 15, 16)]
        settings += [{"top-k": k, "top-p": p} for k, p in ((2, 0.5), (3, 0.6), (3, 0.8))]
        settings += [{"typical": t, "top-p": p, "min-p": m}
                     for t in (0.3, 0.5, 0.8) for p, m in ((0.5, 0), (0.75, 0.5))]
        self.check("edges.npy", "edges.npy", settings)

    def test_random_settings(self):
        random.seed(1)
        settings = [{"temperature": round(random.uniform(0.3, 2), 2),
                     "top-k": random.choice([0, 5, 40, 300]),
                     "typical": random.choice([1, round(random.random(), 3)]),
                     "top-p": random.choice([1, round(random.random(), 3)]),
                     "min-p": random.choice([0, round(random.random() ** 4, 4)])}
                    for _ in range(6)]
        for dump, line in (("logits.npy", "logits.npy --targets targets.npy --vocab vocab.json"),
                           ("gpt2.npy", "gpt2.npy --targets gpt2_targets.npy "
                            "--vocab gpt2_vocab.json")):
            self.check(dump, line, settings)

    def test_a_token_that_followed_has_its_name_rank_and_probability_wherever_it_is(self):
        shape = b"{'descr': '<i8', 'fortran_order': False, 'shape': (4,), }"
        header = shape + b" " * (-(len(shape) + 11) % 64) + b"\n"
        tokens = [31373, 50000, 7, 11]
        (self.folder / "t.npy").write_bytes(b"\x93NUMPY\x01\x00" +
                                            struct.pack("<H", len(header)) + header +
                                            struct.pack("<4q", *tokens))
        data = (self.folder / "gpt2.npy").read_bytes()
        rows = data[10 + struct.unpack("<H", data[8:10])[0]:]
        (self.folder / "many.raw").write_bytes(rows * 12)
        (self.folder / "many.txt").write_text(" ".join(map(str, tokens * 12)))
        tops = [json.loads(self.run_line(
            f"pluck inspect gpt2.npy --row {i} --top 60000 --format json --vocab gpt2_vocab.json"))
            ["top"] for i in range(4)]
        # With few rows each is whole; with many the targets are beyond what the page holds.
        for line in ("gpt2.npy --targets t.npy", "many.raw --vocab-size 50257 --dtype f16 "
                     "--targets many.txt --explore 48"):
            found = self.rows(f"{line} --vocab gpt2_vocab.json")
            plain = self.compute(found, [{}])
            for row, (result,) in zip(found, plain):
                shown = tops[row["row"] % 4]
                place = [t["token"] for t in shown].index(row["target"])
                self.assertEqual(row["target"], tokens[row["row"] % 4])
                self.assertEqual(row["target_place"], place)
                self.assertEqual(row["target_text"], shown[place]["text"])
                self.assertAlmostEqual(result["target"], shown[place]["prob"], delta=5e-7)

    def test_nucleus_sizes_are_means_over_consecutive_rows(self):
        # 400 rows, so that a point of the chart stands for two: peaked and flat in turn.
        rows = [[20.0] + [0.0] * 9, [0.0] * 10] * 200
        (self.folder / "turn.npy").write_bytes(npy(rows))
        self.run_line("pluck report turn.npy -o r.html")
        text = (self.folder / "r.html").read_text(encoding="utf-8")
        chart = text.split('aria-label="Nucleus size over rows"')[1].split("</svg>")[0]
        heights = {float(y) for path in re.findall(r'class="line s\d" d="M([^"]*)"', chart)
                   for y in re.findall(r"[\d.]+ ([\d.]+)", path)}
        # (1 + 10) / 2 at each point of both lines: one height.
        self.assertEqual(len(heights), 1, heights)
        self.assertIn("means over consecutive rows", text)


class EdgesAreNoSuccess(CommandCase):
    def page(self, targets):
        values = " ".join(map(str, targets))
        (self.folder / "t.txt").write_text(values)
        self.run_line("pluck report logits.npy --targets t.txt -o r.html")
        return (self.folder / "r.html").read_text(encoding="utf-8")

    def best(self):
        return [json.loads(line)["token"] for line in self.run_line(
            "pluck sample logits.npy --draw greedy --format json").decode().splitlines()]

    def test_a_fit_at_an_end_is_not_offered(self):
        text = self.page(self.best())
        self.assertIn("no temperature from 0.05 to 20 fits", text)
        self.assertIn('<p class="warning">no temperature from 0.05 to 20 is best', text)
        self.assertNotIn("data-fitted=", text)
        self.assertNotIn("mark-text", text.split("<script")[0].split("</style>")[1])
        self.assertNotIn(">fitted<", text)
        self.assertIn("T = 0.0500, an end", text)

    def test_bins_of_few_rows_are_marked(self):
        self.run_line("pluck report logits.npy --targets targets.npy -o r.html")
        text = (self.folder / "r.html").read_text(encoding="utf-8")
        chart = text.split('aria-label="Reliability"')[1].split("</svg>")[0]
        shown = json.loads(self.run_line("pluck tune logits.npy --targets targets.npy -f json"))
        rows = [b["rows"] for when in ("before", "after") for b in shown[f"bins_{when}"]
                if b["rows"] > 0]
        few = [str(n) for n in rows if n < 10]
        self.assertEqual(re.findall(r'class="rows">(\d+)<', chart), few)
        self.assertEqual(len(re.findall('class="ring ', chart)), len(few))
        self.assertEqual(len(re.findall('class="dot d', chart)), len(rows) - len(few) + 2)
        self.assertEqual(sorted(map(int, re.findall(r"rows: (\d+)<", chart))), sorted(rows))


def open_browser():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.chrome.service.Service(shutil.which("chromedriver"))
    return webdriver.Chrome(service=service, options=options)


def resize(browser, width, scheme):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})


@unittest.skipUnless(HAS_BROWSER, "chromium, chromium-driver or python3-selenium is not installed")
class PageWorks(CommandCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = open_browser()
        cls.browser.execute_cdp_cmd("Page.setDownloadBehavior",
                                    {"behavior": "allow", "downloadPath": cls.template})

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        super().tearDownClass()

    def open(self, line):
        self.run_line(f"pluck report {line} -o r.html")
        self.browser.get_log("browser"), self.browser.get_log("performance")
        self.browser.get((self.folder / "r.html").as_uri())

    def find(self, name):
        return self.browser.find_element(By.ID, name)

    def text(self, name):
        return self.find(name).text.replace(",", "")

    def type_in(self, name, value):
        field = self.find(name)
        field.click()
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(str(value), Keys.TAB)

    def choose(self, row):
        list_of_rows = self.find("row")
        for option in list_of_rows.find_elements(By.TAG_NAME, "option"):
            if option.text == f"row {row}":
                option.click()

    def set(self, settings):
        self.find("reset").click()
        for name, value in settings.items():
            self.type_in(name, value)

    def inspect(self, dump, row, settings):
        flags = " ".join(f"--{FLAGS[name]} {value}" for name, value in settings.items())
        return json.loads(self.run_line(
            f"pluck inspect {dump} --row {row} --top 60000 --format json {flags}"))

    def compare(self, dump, row, settings):
        said = f"row {row}, {settings}"
        expected = self.inspect(dump, row, settings)
        self.assertEqual(int(self.text("survivors")), expected["survivors"], said)
        self.assertAlmostEqual(float(self.text("entropy")), expected["entropy"], delta=2e-6,
                               msg=said)
        self.assertAlmostEqual(float(self.text("effective")), expected["effective"],
                               delta=6e-5 + 2e-6 * expected["effective"], msg=said)
        probabilities = {t["token"]: t["prob"] for t in expected["top"]}
        lines = self.browser.execute_script(
            "return [...document.querySelectorAll('#tokens tr')].map("
            "tr => [Number(tr.dataset.token), tr.cells[2].textContent])")
        self.assertGreater(len(lines), 7)
        for token, shown in lines:
            if shown == "out":
                self.assertNotIn(token, probabilities, said)
            else:
                self.assertAlmostEqual(float(shown), probabilities[token], delta=1.01e-6, msg=said)

    def check_quiet(self):
        self.assertEqual(self.browser.get_log("browser"), [])
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.assertRegex(message["params"]["request"]["url"], "^(file|data|blob):")

    def test_numbers_are_those_of_the_library(self):
        for dump, rows, line in (
                ("logits.npy", (5, 37),
                 "logits.npy --targets targets.npy --vocab vocab.json --explore 64"),
                ("gpt2.npy", (0, 3), "gpt2.npy --vocab gpt2_vocab.json")):
            self.open(line)
            for row in rows:
                self.choose(row)
                for settings in SETTINGS:
                    self.set(settings)
                    self.assertIn("Exact", self.text("exactness"))
                    self.compare(dump, row, settings)
                    saved = json.loads(self.find("config").text)
                    (self.folder / "saved.json").write_text(json.dumps(saved))
                    self.run_line("pluck config check saved.json")
                    self.assertEqual(len(saved), len(settings))
        self.check_quiet()

    def test_rows_that_are_not_whole_are_exact_at_every_temperature(self):
        data = (self.folder / "gpt2.npy").read_bytes()
        rows = data[10 + struct.unpack("<H", data[8:10])[0]:]
        (self.folder / "many.raw").write_bytes(rows * 12)
        self.open("many.raw --vocab-size 50257 --dtype f16 --explore 48")
        for row in (0, 2):
            self.choose(row)
            for settings in ({}, {"temperature": 0.7}, {"temperature": 3}, {"top-p": 0.95},
                             {"top-k": 40, "temperature": 1.5}):
                self.set(settings)
                self.assertIn("as sums", self.text("exactness"))
                self.compare("gpt2.npy", row, settings)
        self.set({"top-k": 20000})
        self.assertIn("about", self.text("survivors"))

    def test_sliders_buttons_and_keys_work(self):
        self.open("logits.npy --targets targets.npy --vocab vocab.json")
        slider = self.find("top-k-range")
        slider.send_keys(Keys.ARROW_RIGHT * 3)
        self.assertEqual(self.find("top-k").get_attribute("value"), "3")
        self.assertEqual(self.text("survivors"), "3")
        self.compare("logits.npy", 0, {"top-k": 3})
        self.find("next").send_keys(Keys.ENTER)
        self.assertEqual(self.find("row").get_attribute("value"), "1")
        fitted = self.browser.find_element(By.CSS_SELECTOR, "[data-fitted]")
        fitted.click()
        found = json.loads(self.run_line("pluck tune logits.npy --targets targets.npy -f json"))
        self.assertAlmostEqual(float(self.find("temperature").get_attribute("value")),
                               found["temperature"], delta=1e-6)
        self.assertEqual(self.find("top-k").get_attribute("value"), "0")
        self.find("save").click()
        saved = pathlib.Path(self.template, "pluck.json")
        self.browser.set_script_timeout(20)
        self.browser.execute_async_script("setTimeout(arguments[0], 500)")
        self.assertEqual(list(json.loads(saved.read_text())), ["temperature"])
        self.type_in("temperature", "-4")
        self.assertEqual(self.find("temperature").get_attribute("value"), "0.05")
        self.check_quiet()

    def test_every_control_can_be_reached_by_tab(self):
        self.open("logits.npy --targets targets.npy")
        seen = set()
        self.browser.find_element(By.TAG_NAME, "body").click()
        for _ in range(30):
            self.browser.switch_to.active_element.send_keys(Keys.TAB)
            seen.add(self.browser.switch_to.active_element.get_attribute("id"))
        for name in NEUTRAL:
            self.assertLessEqual({name, f"{name}-range"}, seen)
        self.assertLessEqual({"row", "previous", "next", "save", "reset", "more"}, seen)

    def test_nothing_is_wider_than_the_screen(self):
        self.open("gpt2.npy --targets gpt2_targets.npy "
                            "--vocab gpt2_vocab.json")
        for width in (320, 390, 800, 1440):
            resize(self.browser, width, "light")
            self.assertEqual(self.browser.execute_script(
                "return document.documentElement.scrollWidth"), width)
            too_wide = self.browser.execute_script(
                "return [...document.querySelectorAll('body *')].filter(e => "
                "e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll'))"
                ".map(e => e.outerHTML.slice(0, 80))")
            self.assertEqual(too_wide, [], width)

    def test_charts_mark_the_least_nll(self):
        self.open("logits.npy --targets targets.npy")
        found = json.loads(self.run_line("pluck tune logits.npy --targets targets.npy -f json"))
        marks = self.browser.execute_script(
            "return [...document.querySelectorAll('.mark-text')].map(e => e.textContent)")
        self.assertEqual(marks, [f"T = {found['temperature']:.4f}"])
        table = self.browser.execute_script(
            "return [...document.querySelectorAll('details tbody tr')].map("
            "tr => [...tr.cells].map(c => c.textContent))")
        for name, key in (("NLL", "nll"), ("ECE, 15 bins", "ece"), ("Brier", "brier")):
            line = next(cells for cells in table if cells[0] == name)
            self.assertEqual(line[1:3], [f"{found[key + '_before']:.6f}",
                                         f"{found[key + '_after']:.6f}"])


def take_screenshots(pluck, folder):
    """report-{light,dark}-{390,1440}.png of the shipped stories, with a few settings."""
    import subprocess
    import tempfile
    folder.mkdir(exist_ok=True)
    browser = open_browser()
    with tempfile.TemporaryDirectory() as place:
        page = pathlib.Path(place, "r.html")
        subprocess.run([pluck, "report", "stories260K.npy", "--targets", "stories260K_targets.npy",
                        "--vocab", "stories260K_vocab.json", "-o", page], check=True,
                       cwd=DATA_FOLDER)
        browser.get(page.as_uri())
        browser.execute_script(
            "document.getElementById('row').selectedIndex = 5;"
            "for (const [id, v] of [['temperature', 1.3], ['top-k', 40], ['min-p', 0.02]]) {"
            "  const e = document.getElementById(id); e.value = v;"
            "  e.dispatchEvent(new Event('input')); }")
        for width, height, scale in ((390, 1240, 1), (1440, 1420, 0.75)):
            for scheme in ("light", "dark"):
                resize(browser, width, scheme)
                shot = browser.execute_cdp_cmd("Page.captureScreenshot", {
                    "captureBeyondViewport": True,
                    "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": scale}})
                (folder / f"report-{scheme}-{width}.png").write_bytes(
                    base64.b64decode(shot["data"]))
    browser.quit()


if __name__ == "__main__":
    if "--screenshots" in sys.argv:
        at = sys.argv.index
        take_screenshots(str(pathlib.Path(sys.argv[at("--pluck") + 1]).resolve()),
                         pathlib.Path(sys.argv[at("--screenshots") + 1]).resolve())
    else:
        main()
