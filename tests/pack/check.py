"""The finance pack in the programs people open it with: the page in Chromium at a desk's and a phone's width, the
workbook in LibreOffice, the checksums by sha256sum. Usage: check.py REPORTS OUT"""

import csv
import os
import pathlib
import shutil
import subprocess
import sys

from browser import Browser

REPORTS, OUT = (pathlib.Path(it) for it in sys.argv[1:3])
SHEETS = {
    "summary": "汇总",
    "discrepancies": "差异明细",
    "associated_orders": "核销订单",
    "subsidies": "补差明细",
    "quarantine": "隔离行",
}
# Comma, quote, UTF-8, from line 1, cells as shown, no formulas, every sheet.
ALL_SHEETS = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,true,false,false,-1"


def check_page(browser, name, width, height, dark=False):
    browser.open(REPORTS / "report.html", width, height, dark)
    wide = browser.value("document.documentElement.scrollWidth")
    assert wide <= width, f"{name}: the page is {wide} px wide on a screen of {width}"
    browser.picture(OUT / f"{name}.png")
    assert not browser.problems, f"{name}: {browser.problems}"


def check_list(browser):
    """Search, filter, order and language, as a hand would use them."""
    shown = "[...document.querySelectorAll('#list tbody tr')].filter(it => !it.hidden)"
    count = lambda: browser.value(f"{shown}.length")
    browser.open(REPORTS / "report.html", 1280, 900)
    everything = browser.value("document.querySelectorAll('#list tbody tr').length")
    assert count() == min(50, everything), count()
    browser.value("document.querySelector('.rules [data-rule]').click()")
    rule = browser.value("document.getElementById('rule').value")
    rules = set(browser.value(f"{shown}.map(it => it.dataset.rule)"))
    assert rules == {rule}, (rule, rules)
    browser.value("document.getElementById('rule').value = ''; document.querySelector('[data-sort=age]').click()")
    ages = browser.value(f"{shown}.map(it => Number(it.dataset.age))")
    assert ages == sorted(ages, reverse=True) and len(ages) > 1, ages
    search = "document.getElementById('search')"
    browser.value(f"{search}.value = 'no such thing'; {search}.dispatchEvent(new Event('input'))")
    assert count() == 0 and not browser.value("document.getElementById('nothing').hidden")
    heading = "document.querySelector('h1').innerText"
    before = browser.value(heading)
    browser.value("document.getElementById('language').click()")
    assert browser.value(heading) != before and "Coupon" in browser.value(heading), browser.value(heading)
    assert not browser.problems, browser.problems


def check_paper(browser):
    browser.open(REPORTS / "report.html", 1280, 900)
    browser.paper(OUT / "paper.pdf")
    subprocess.run(["pdftoppm", "-r", "70", "-png", OUT / "paper.pdf", OUT / "paper"], check=True)
    pages = sorted(OUT.glob("paper-*.png"))
    assert 1 <= len(pages) <= 8, f"{len(pages)} pages of paper"


def plain(cell):
    """A cell without what only the eye needs."""
    text = cell.strip().lstrip("`")
    digits = text.replace(",", "")
    try:
        return f"{float(digits):.2f}" if "." in digits or digits != text else digits
    except ValueError:
        return text


def rows_of(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return [[plain(cell) for cell in row] for row in csv.reader(file)]


def check_workbook():
    subprocess.run(
        ["soffice", "--headless", f"-env:UserInstallation=file://{(OUT / 'office').resolve()}", "--convert-to", ALL_SHEETS]
        + ["--outdir", OUT / "sheets", REPORTS / "reconciliation.xlsx"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    for name, title in SHEETS.items():
        finance = REPORTS / f"{name}.csv"
        if not finance.exists():
            assert name == "quarantine", name
            continue
        expected = rows_of(finance)
        found = rows_of(OUT / "sheets" / f"reconciliation-{title}.csv")
        first = next(index for index, row in enumerate(found) if row[: len(expected[0])] == expected[0])
        width = len(expected[0])
        found = [row[:width] for row in found[first:]]
        assert len(found) == len(expected), f"{name}: {len(found)} rows in the sheet, {len(expected)} in the CSV"
        for line, (sheet, text) in enumerate(zip(found, expected), start=1):
            assert sheet == text, f"{name}, line {line}:\n{sheet}\n{text}"
        print(f"  {name}: {len(expected)} lines agree in sheet and CSV")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "sheets").mkdir(parents=True)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=REPORTS, check=True)
    with Browser() as browser:
        check_page(browser, "desk", 1280, 900)
        check_page(browser, "desk-dark", 1280, 900, dark=True)
        check_page(browser, "phone", 390, 844)
        check_page(browser, "phone-dark", 390, 844, dark=True)
        check_list(browser)
        browser.picture(OUT / "desk-en.png", whole=False)
        check_paper(browser)
    check_workbook()
    print(f"the pack opens everywhere; pictures in {OUT}")


main()
