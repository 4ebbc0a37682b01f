"""The table of docs/one-billion.md: an estimate for a billion coupons from the constants in out/bench/*.json. Rows without a measurement stay as they are."""

import re

from measure import ROOT, load

PAGE = ROOT / "docs/one-billion.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

COUPONS = 1_000_000_000
USED_A_NIGHT = 20_000_000
WALLETS = COUPONS / 5
AUDIT_DAYS = 30
LOOKBACK_DAYS = 30
WINDOW_HOURS = 10
DAY_HOURS = 24


def write():
    text = PAGE.read_text()
    measured = [row for row in (*night(), *extraction(), *journal()) if row]
    # Rows without a measurement on this machine stay as they are.
    rows = list(({row[0]: row for row in standing(text)} | {row[0]: row for row in measured}).values())
    body = "\n".join(["| requirement | constant, as measured | a billion coupons |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{body}\n{END}", text, flags=re.DOTALL))
    print(body)


def standing(text):
    lines = text.split(BEGIN)[1].split(END)[0].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def night():
    points = (load("scale") or {"points": []})["points"]
    one = load("night")
    if not points and one:
        points = [{"coupons": one["coupons"], "night": one["medians"]["ours"], "lake_mb": one["lake_mb"]}]
    if not points:
        return []
    last = points[-1]
    coupons, of = last["coupons"], last["night"]
    wall, cpu = of["wall_s"] / coupons, of["cpu_s"] / coupons
    measured = f"at {coupons / 1e6:g} M"
    rows = [
        ("match and rules, run time", f"{wall * 1e6:.2f} s per million, {measured}", hours(wall * COUPONS)),
        ("match and rules, CPU", f"{cpu * 1e6:.2f} CPU-s per million", hours(cpu * COUPONS)),
        ("match and rules, memory", growth(points), ""),
    ]
    if one:
        ledger = one["ledger_mb"]["ours"] * 1e6 / one["coupons"]
        rows += [
            ("ledger of one night", f"{ledger:.0f} bytes per coupon, zstd", gigabytes(ledger * COUPONS)),
            (f"ledgers of {LOOKBACK_DAYS} nights", "every night complete", gigabytes(ledger * COUPONS * LOOKBACK_DAYS)),
        ]
    return rows


def growth(points):
    least, most = points[0], points[-1]
    told = ", ".join(f"{it['coupons'] / 1e6:g} M: {it['night']['peak_mb']:.0f} MB" for it in (least, most))
    return told if least is not most else f"{most['coupons'] / 1e6:g} M: {most['night']['peak_mb']:.0f} MB"


def extraction():
    told = load("extraction")
    asked = USED_A_NIGHT + WALLETS / AUDIT_DAYS
    receipts = USED_A_NIGHT / 3
    requests = asked + receipts
    yield ("requests", f"{asked / 1e6:.1f} M wallets, {receipts / 1e6:.1f} M receipts", f"{requests / 1e6:.1f} M")
    yield ("time at 100 requests per second", "the rate of the sample job", hours(requests / 100))
    yield ("time at 500 requests per second", "the documented limit of similar calls", hours(requests / 500))
    yield (f"rate needed for {WINDOW_HOURS} hours", "", f"{requests / WINDOW_HOURS / 3600:,.0f} per second")
    yield (f"rate needed for {DAY_HOURS} hours", "below it nights accumulate", f"{requests / DAY_HOURS / 3600:,.0f} per second")
    if told:
        page = told["page_us"][0] / 1e6
        yield ("client CPU of the extraction", f"{page * 1e6:.0f} µs per page", hours(page * requests))


def journal():
    told = load("journal")
    if not told:
        return
    size = told["size"]
    bytes_ = told["journal_mb"] * 1e6 / size["coupons"]
    asked = (USED_A_NIGHT + WALLETS / AUDIT_DAYS) * 5
    yield ("journal of one night", f"{bytes_:.0f} bytes per requested coupon", gigabytes(bytes_ * asked))
    if size["coupons"] < 500_000:
        # The fixed memory of the program would be attributed to the coupons.
        return
    memory = told["median"]["peak_mb"] * 1e6 / size["coupons"]
    yield ("memory from journal to reports", f"{memory:,.0f} bytes per coupon at {size['coupons'] / 1e6:.2g} M, if growth stays linear", gigabytes(memory * COUPONS))


def hours(seconds):
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def gigabytes(bytes_):
    return f"{bytes_ / 1e12:,.1f} TB" if bytes_ >= 1e12 else f"{bytes_ / 1e9:,.0f} GB"


if __name__ == "__main__":
    write()
