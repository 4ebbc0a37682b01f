"""DuckDB and Polars read a day in a loop while it is published again and again, first as one file, then in parts: each look must
show one of the two versions, whole.

usage: while_publishing.py PROGRAM NOW JOB BASE_URL
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import tomllib

import duckdb
import polars

DAY = "2026-11-18"
ROUNDS = 6


def main():
    program, now, job, base_url = sys.argv[1:]
    job = pathlib.Path(job)
    settings = tomllib.loads(job.read_text(encoding="utf-8"))
    day = job.parent / settings["job"]["lake"] / f"datasets/breaks/dt={DAY}"
    orders = job.parent / f"orders/{DAY}.csv"
    full = orders.read_bytes()
    versions = [full, b"\r\n".join(full.splitlines()[:-1])]
    in_parts = job.with_name("job-in-parts.toml")
    in_parts.write_text(job.read_text(encoding="utf-8").replace("[job]", "[job]\npart_bytes = 4096", 1), encoding="utf-8")

    def publish(job, version):
        orders.write_bytes(version)
        command = [program, "--now", now, "run", str(job), "--date", DAY, "--base-url", base_url]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    try:
        look_while(lambda version: publish(job, version), versions, day, (look_with_duckdb, look_with_polars, by_name))
        look_while(lambda version: publish(in_parts, version), versions, day, (look_with_duckdb, look_with_polars))
        assert len(list(day.glob("*.parquet"))) > 2, "this was to be about parts"
    finally:
        in_parts.unlink()
        publish(job, full)


def look_while(publish, versions, day, looks):
    known = []
    for version in versions:
        publish(version)
        known.append(look_with_duckdb(day))
        assert look_with_polars(day) == known[-1]
    assert known[0] != known[1], "the two versions must differ"

    seen, refused, failures, done = {0: 0, 1: 0}, [], [], threading.Event()

    def read(look):
        while not done.is_set():
            try:
                seen[known.index(look(day))] += 1
            except Refused as error:
                refused.append(error)
            except Exception as error:  # whatever a reader stumbles over is a failure of the publication
                failures.append(f"{look.__name__}: {error!r}")
                return

    readers = [threading.Thread(target=read, args=(look,)) for look in looks]
    for reader in readers:
        reader.start()
    for number in range(ROUNDS):
        publish(versions[number % 2])
    done.set()
    for reader in readers:
        reader.join()
    assert not failures, failures
    assert all(seen.values()), f"both versions must have been seen: {seen}"
    files = len(list(day.glob("*.parquet")))
    print(
        f"while {DAY} of {files} files was published {ROUNDS} times: {sum(seen.values())} looks, each at one version; "
        f"by name DuckDB refused {len(refused)} more"
    )


class Refused(Exception):
    """DuckDB met another file under the name it had opened."""


@contextlib.contextmanager
def opened(day):
    """The parts of a day, open: all of one folder, whatever stands at its name by now."""
    while True:
        with contextlib.ExitStack() as stack:
            folder = os.open(day, os.O_RDONLY)
            stack.callback(os.close, folder)
            try:
                names = [name for name in sorted(os.listdir(folder)) if name.endswith(".parquet")]
                at = lambda name, flags: os.open(name, flags, dir_fd=folder)
                files = [stack.enter_context(open(name, "rb", opener=at)) for name in names]
            except FileNotFoundError:
                continue  # cleared away: another day has taken its place
            ours, theirs = os.fstat(folder), os.stat(day)
            if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino):
                yield files
                return


def look_with_duckdb(day):
    with opened(day) as files:
        return ask_duckdb([f"/dev/fd/{file.fileno()}" for file in files])


# Given a name, DuckDB opens it more than once, and a name may stand for another file meanwhile: with two files swapped
# by rename alone, and no program of ours, DuckDB 2.0 refused 200 of 1,114 looks by name ("Invalid data") and none of 1,098
# at an open file. So a look by name may be refused here; one that is answered must be at one version too.
def by_name(day):
    try:
        return ask_duckdb([str(day / "part-0.parquet")])
    except duckdb.Error as error:
        raise Refused from error


def ask_duckdb(paths):
    query = f"select count(*), sum(at_risk_fen), min(break_id), max(break_id) from read_parquet({paths})"
    return tuple(map(str, duckdb.connect().sql(query).fetchall()[0]))


def look_with_polars(day):
    with opened(day) as files:
        breaks = polars.concat([polars.read_parquet(file) for file in files])
    ids, risk = breaks["break_id"], breaks["at_risk_fen"].sum()
    return tuple(map(str, (len(breaks), risk, ids.min(), ids.max())))


main()
