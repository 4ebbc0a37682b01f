"""The measured part of benches/RESULTS.md, drawn from out/bench/*.json: `python3 tables.py` draws it again without measuring. What is written by hand stays as it is."""

import re

from measure import ROOT, load

RESULTS = ROOT / "benches/RESULTS.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
NOT_REACHED, REACHED = "not reached", "reached"
# The bound that the issue of these targets gives for memory elsewhere: a quarter more.
FLAT = 1.25
# Wallets are still being asked, and nearly all of them were.
NEAR_END = 0.95


def write():
    text = RESULTS.read_text()
    if BEGIN not in text:
        title, rest = text.split("\n", 1)
        text = f"{title}\n\n{BEGIN}\n{END}\n{rest}"
    standing = text.split(BEGIN)[1].split(END)[0]
    parts = [part for title, drawn in SECTIONS.items() if (part := drawn() or stands(title, standing))]
    body = "\n\n".join([introduction(), *parts]) if parts else "Nothing has been measured yet."
    print(body)
    RESULTS.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{body}\n{END}", text, flags=re.DOTALL))


def stands(title, body):
    """What has no figures on this machine stays as it was written: it names its own day and commit."""
    found = re.search(rf"^## {re.escape(title)}.*?(?=^## |\Z)", body, flags=re.DOTALL | re.MULTILINE)
    return found.group().strip() if found else None


def introduction():
    return (
        "Written by `make bench` (`make bench-large`, `make bench-instructions`) from `out/bench/*.json`. Each table comes from one run in which the contenders"
        " took turns. Seconds are medians, with the fastest and the slowest round in brackets. CPU-seconds are user plus system. Peak is the largest resident"
        " memory of the process."
    )


def origin(told, command):
    machine = told["machine"]
    return (
        f"`{command}` on {told['date']}, commit {told['commit']}, {told['rustc'].split(' (')[0]}; {machine['cpu']}, {machine['cores']} cores,"
        f" {machine['memory_gib']:.0f} GiB, Linux {machine['kernel']}, load {machine['load']:.1f} at the end."
    )


def table(head, rows):
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)])


def seconds(told, name):
    least, most = told[f"{name}_spread"]
    spread = f" ({least:.2f}–{most:.2f})" if told["rounds"] > 1 else ""
    return f"{told[name]:.2f}{spread}"


def measures(told):
    return [seconds(told, "wall_s"), seconds(told, "cpu_s"), f"{told['peak_mb']:,.0f} MB"]


def ratio(ours, theirs):
    return [f"{theirs[name] / ours[name]:.2f} ×" for name in ("wall_s", "cpu_s", "peak_mb")]


def verdict(is_reached):
    return REACHED if is_reached else f"**{NOT_REACHED}**"


def millions(coupons):
    return f"{coupons / 1e6:g} M"


def night():
    told = load("night")
    if not told:
        return None
    of, coupons = told["medians"], millions(told["coupons"])
    ours, duckdb_breaks, duckdb_ledger, decode = of["ours"], of["duckdb_breaks"], of["duckdb_ledger"], of["ours_decode"]
    ours_breaks = of.get("ours_breaks")
    rows = [["ours: ledger and breaks written", *measures(ours)], ["DuckDB: ledger and breaks written", *measures(duckdb_ledger)]]
    rows += [["ours: breaks only", *measures(ours_breaks)]] if ours_breaks else []
    rows += [["DuckDB: breaks only", *measures(duckdb_breaks)], ["decoding what the match reads, one thread (`decode`)", *measures(decode)]]
    bare = ours_breaks or ours
    pairs = [["both write the ledger", *ratio(ours, duckdb_ledger)]]
    pairs += [["neither writes it" if ours_breaks else "only ours is written: our rules read it from the file", *ratio(bare, duckdb_breaks)]]
    best = min(ours["cpu_s"], bare["cpu_s"])
    goals = [
        ["3 × less wall and CPU than DuckDB, breaks only", f"{duckdb_breaks['wall_s'] / bare['wall_s']:.2f} × and {duckdb_breaks['cpu_s'] / bare['cpu_s']:.2f} ×",
         verdict(min(duckdb_breaks[name] / bare[name] for name in ("wall_s", "cpu_s")) >= 3)],
        ["3 × less wall and CPU than DuckDB, ledger written", f"{duckdb_ledger['wall_s'] / ours['wall_s']:.2f} × and {duckdb_ledger['cpu_s'] / ours['cpu_s']:.2f} ×",
         verdict(min(duckdb_ledger[name] / ours[name] for name in ("wall_s", "cpu_s")) >= 3)],
        ["at most 1 GiB resident", f"{ours['peak_mb']:.0f} MB", verdict(ours["peak_mb"] <= 1024)],
        ["at most 2.5 × the decoding alone", f"{best / decode['cpu_s']:.1f} × its CPU, {min(ours['wall_s'], bare['wall_s']) / decode['wall_s']:.1f} × its wall",
         verdict(best / decode["cpu_s"] <= 2.5)],
    ]  # fmt: skip
    sizes = told["ledger_mb"]
    return "\n\n".join(
        [
            f"## Match and all rules, {coupons} coupons",
            origin(told, f"make bench COUPONS={told['coupons']}"),
            table(["", "wall s", "CPU s", "peak"], rows),
            f"DuckDB's figures divided by ours. Before they were printed, the {sum(told['breaks'].values()):,} breaks were found to agree by id and amount, and"
            f" the two ledgers (ours {sizes['ours']:,.0f} MB, DuckDB's {sizes['duckdb']:,.0f} MB) row for row:",
            table(["", "wall", "CPU", "memory"], pairs),
            table(["target", "measured", ""], goals),
            f"Breaks by rule: {', '.join(f'{rule} {rows:,}' for rule, rows in told['breaks'].items())}.",
            longest(told),
        ]
    )


def longest(told):
    """Where DuckDB spends its time."""
    of = [f"{seconds:.1f} s `{title}`" for seconds, title in told["stages"]["duckdb_ledger"][:5]]
    breaks = [f"{seconds:.1f} s `{title}`" for seconds, title in told["stages"]["duckdb_breaks"][:5]]
    matched = [line for line in told["stages"]["ours"] if " coupons, ledger " in line][-1].rsplit("ledger ", 1)[1]
    everything = [line for line in told["stages"]["ours"] if line.startswith("all ")][-1].removeprefix("all ")
    return (
        f"The longest statements of DuckDB's last round, ledger written: {', '.join(of)}; breaks only: {', '.join(breaks)}."
        f" Ours: the ledger after {matched}, everything after {everything}."
    )


def libraries():
    told = load("libraries")
    if not told:
        return None
    of, versions = told["medians"], told["versions"]
    what = {
        "ours": "the whole night: look-back, repetitions, roll-back, 43 rules, ledger and breaks written",
        "duckdb": f"DuckDB {versions['duckdb']}: `joined.sql`, two threads",
        "polars": f"Polars {versions['polars']}: `joined.sql` by its own SQL, streaming, two threads",
        "pandas": f"pandas {versions['pandas']}: the same by three merges",
        "datacompy": f"datacompy {versions['datacompy']}: orders against the bill by transaction, one amount",
    }
    return "\n\n".join(
        [
            f"## Compared with notebook libraries, {millions(told['coupons'])} coupons",
            origin(told, "make bench"),
            "`joined.sql` (in `benches/beside/`) joins wallets to orders, bill and subsidies once, sums five columns and counts the hits of ten rules. It has no"
            " look-back, no repetitions and no end-of-day state, and it writes nothing. All three libraries gave the same figures for it.",
            table(["", "wall s", "CPU s", "peak"], [[what[name], *measures(of[name])] for name in what]),
        ]
    )


def ingest():
    told = load("ingest")
    if not told:
        return None
    rows = [
        [kind, f"{it['mib']:.0f}", f"{it['rows']:,}", *measures(it["ours"]), *measures(it["duckdb"]), *ratio(it["ours"], it["duckdb"])[:2]]
        for kind, it in told["files"].items()
    ]
    head = ["file", "MiB", "rows", "ours: wall s", "CPU s", "peak", "DuckDB: wall s", "CPU s", "peak", "wall", "CPU"]
    slow = [kind for kind, it in told["files"].items() if it["ours"]["wall_s"] > it["duckdb"]["wall_s"]]
    return "\n\n".join(
        [
            "## Files to Parquet",
            origin(told, "make bench"),
            f"The real program, from the file to the published partition, compared with `read_csv` → `ORDER BY` → `COPY` of the same rows in DuckDB {told['duckdb']}."
            " The last two columns are DuckDB's figures divided by ours.",
            table(head, rows),
            f"Target, no slower than DuckDB: {verdict(not slow)}{' for ' + ', '.join(slow) if slow else ''}.",
        ]
    )


def extraction():
    told = load("extraction")
    if not told:
        return None
    clients, signature = told["rounds"][0], told["signature_us"]
    rows = [
        [it["client"], f"{cost:.0f}", f"{1e6 / cost:,.0f}", f"{cost / told['page_us'][0]:.1f} ×", f"{it['peak_kb'] / 1024:.0f} MB"]
        for it, cost in zip(clients, told["page_us"])
    ]
    spread = [told_round[0]["page_us"] for told_round in told["rounds"]]
    pages = told["page_us"][0] / signature
    least = min(cost / told["page_us"][0] for cost in told["page_us"][1:])
    limited = told["limited"]
    return "\n\n".join(
        [
            "## Extraction",
            origin(told, "make bench"),
            table(["client", "CPU µs per page", "pages per CPU-second", "relative to ours", "peak"], rows),
            f"Ours took {min(spread):.0f} to {max(spread):.0f} µs in {len(spread)} rounds. One RSA-2048 signature of aws-lc-rs takes {signature:.0f} µs.",
            table(
                ["target", "measured", ""],
                [
                    ["a page costs at most 1.5 signatures", f"{pages:.2f}", verdict(pages <= 1.5)],
                    ["five times the pages of each SDK", f"{least:.1f} times", verdict(least >= 5)],
                    [
                        f"{limited['pages']:,} pages at a limit of {limited['rate']} requests per second: at most 3 % over what the limit takes",
                        f"{limited['wall_s']:.2f} s, {limited['excess']:+.1%}",
                        verdict(limited["excess"] <= 0.03),
                    ],
                ],
            ),
            "The simulator answers on the same machine, so there is no network latency.",
        ]
    )


def wallets():
    told = load("wallets")
    if not told:
        return None
    rows = [
        [
            f"{it['wallets']:,}", it["commit"], f"{it['requests']:,}", f"{it['wall_s']:.0f}",
            *(f"{resident(it, part):.0f} MB" for part in (0.25, 0.5, NEAR_END)), f"{it['peak_mb']:.0f} MB",
        ]
        for it in told["points"]
    ]  # fmt: skip
    least, most = (pick(told["points"], key=lambda it: it["wallets"]) for pick in (min, max))
    asking = [resident(it, NEAR_END) for it in (least, most)]
    added = (asking[1] - asking[0]) * 2**20 / (most["wallets"] - least["wallets"])
    is_flat = asking[1] <= FLAT * asking[0] and most["peak_mb"] <= FLAT * least["peak_mb"]
    return "\n\n".join(
        [
            "## Memory while wallets are asked",
            origin(told, "make bench-wallets"),
            "A first night of a merchant with so many wallets of one coupon, each a page of its own, asked from the simulator. Only the stages up to `user_coupons`"
            " run, so that the peak is theirs.",
            table(["wallets", "commit", "requests", "wall s", "after a quarter", "a half", f"{NEAR_END:.0%}", "peak"], rows),
            f"Target, memory flat from {least['wallets']:,} to {most['wallets']:,} wallets: {verdict(is_flat)} (taken as at most a quarter more). While it is asked a"
            f" wallet adds {added:.0f} bytes.",
        ]
    )


def resident(point, part):
    """Of the resident memory in MB, what it was after a part of the time."""
    return point["samples"][int(part * (len(point["samples"]) - 1))][1]


def journal():
    told = load("journal")
    if not told:
        return None
    size, of = told["size"], told["median"]
    ends, earlier, rows = told["written"][-1], 0.0, []
    for name, at in ends.items():
        if at - earlier >= 0.05 or name in ("coupon_ledger", "breaks", "SHA256SUMS"):
            rows.append([f"`{name}`", f"{at:.2f}", f"{at - earlier:.2f}"])
        earlier = at
    rows.append(["the end", f"{told['runs'][-1]['wall_s']:.2f}", f"{told['runs'][-1]['wall_s'] - earlier:.2f}"])
    is_reached = of["wall_s"] <= 10 and of["peak_mb"] <= 1024
    is_full = size["coupons"] >= 1_000_000 and size["receipts"] >= 300_000
    return "\n\n".join(
        [
            "## From the journal to the finance pack",
            origin(told, "make bench"),
            f"`run --replay` of a first night: {size['coupons']:,} coupons in {size['wallets']:,} wallets, {size['orders']:,} orders and bill rows,"
            f" {size['receipts']:,} receipts; a journal of {told['journal_mb']:,.0f} MB becomes {told['lake_mb']:,.0f} MB of partitions and"
            f" {told['reports_mb']:,.0f} MB of reports. Filling the journal from the simulator took {told['fetch']['wall_s']:.0f} s (client and simulator).",
            table(
                ["", "wall s", "CPU s", "peak"],
                [
                    ["journal to finance pack", *measures(of)],
                    [f"the next night: {told['after']['requests']:,} requests, the other coupons carried over", *measures(told["after"]["median"])],
                ],
            ),
            "When each file of the last round was finished, and how long after the file before it (steps under 0.05 s are left out):",
            table(["file", "finished at, s", "after the one before, s"], rows),
            f"Target, 1 M coupons, 600 k orders and 300 k receipts in 10 s and 1 GiB: {verdict(is_reached and is_full)}"
            f"{'' if is_full else ' (measured at the size above, which is smaller)'}.",
        ]
    )


def start():
    told = load("start")
    if not told:
        return None
    of = told["median"]
    sizes = ", ".join(f"{name} profile {size / 1e6:.1f} MB" for name, size in told["bytes"].items())
    return "\n\n".join(
        [
            "## Start-up and size",
            origin(told, "make bench"),
            f"`--help` takes {of['wall_s'] * 1000:.1f} ms, the median of {of['rounds']} starts ({of['wall_s_spread'][0] * 1000:.1f} to"
            f" {of['wall_s_spread'][1] * 1000:.1f} ms; target 10 ms: {verdict(of['wall_s'] <= 0.01)}). Size of the program: {sizes}.",
        ]
    )


def three_digits(number):
    """More of them would change from run to run."""
    return f"{float(f'{number:.3g}'):,.0f}"


def instructions():
    told = load("instructions")
    if not told:
        return None
    what = {
        "signature": "the Authorization header of a request, RSA-2048", "verification": "the signature over a page of 20 coupons",
        "decoding": "a page of 20 coupons from its bytes", "sort": "a row through the sorter, in memory",
        "merge": "a row through the sorter, by runs on the disk", "bill": "a row of a trade bill, read and typed",
    }  # fmt: skip
    rows = [[what[name], it["unit"], three_digits(it["instructions"])] for name, it in told["loops"].items()]
    return "\n\n".join(
        [
            "## Instructions of the hot loops",
            origin(told, "make bench-instructions") + f" Counted by {told['valgrind']}, so no figure here depends on the load.",
            table(["work", "per", "instructions"], rows),
        ]
    )


def scale():
    told = load("scale")
    if not told:
        return None
    rows = [
        [millions(it["coupons"]), it["commit"], *measures(it["night"]), f"{it['night']['cpu_s'] / it['coupons'] * 1e6:.1f}", f"{it['decode']['cpu_s']:.2f}", f"{it['lake_mb'] / 1000:,.1f} GB"]
        for it in told["points"]
    ]
    return "\n\n".join(
        [
            "## Growth",
            origin(told, "make bench-scale"),
            table(["coupons", "commit", "wall s", "CPU s", "peak", "CPU µs per coupon", "decoding, CPU s", "lake"], rows),
            "![time and memory of a night over the number of coupons](../docs/scaling.svg)",
        ]
    )


SECTIONS = {
    "Match and all rules": night,
    "Compared with notebook libraries": libraries,
    "Files to Parquet": ingest,
    "Extraction": extraction,
    "Memory while wallets are asked": wallets,
    "From the journal to the finance pack": journal,
    "Start-up and size": start,
    "Instructions of the hot loops": instructions,
    "Growth": scale,
}


if __name__ == "__main__":
    write()
