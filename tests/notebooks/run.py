"""Runs a notebook from top to bottom over a lake and keeps it with its pictures: run.py NOTEBOOK LAKE OUT

Fails when a cell fails, when the notebook is checked in with outputs, or when a picture is missing or blank."""

import base64
import os
import pathlib
import struct
import sys

import nbformat
from nbclient import NotebookClient

LEAST_PICTURES = 4
LEAST_PIXELS = 300


def main(notebook: pathlib.Path, lake: pathlib.Path, out: pathlib.Path) -> int:
    os.environ["COUPON_RECON_LAKE"] = str(lake.resolve())
    book = nbformat.read(notebook, as_version=4)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells), f"{notebook} is checked in with outputs: clear them"
    # Sockets of the file system: no port, and no warning about one.
    # Sockets of a kernel are on the loopback; its warning about that would stand in every log.
    quiet = ["--IPKernelApp.log_level=40"]
    place = {"metadata": {"path": notebook.parent}}
    NotebookClient(book, timeout=300, kernel_name="python3", resources=place, extra_arguments=quiet).execute()
    out.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, out / notebook.name)
    pictures = [picture for cell in cells for picture in pictures_of(cell)]
    for number, png in enumerate(pictures, start=1):
        width, height = struct.unpack(">II", png[16:24])
        assert min(width, height) >= LEAST_PIXELS / 2 and width >= LEAST_PIXELS, f"picture {number}: {width} x {height}"
        (out / f"{notebook.stem}-{number}.png").write_bytes(png)
    warnings = [text for cell in cells for text in stderr_of(cell)]
    assert not warnings, f"a cell complains: {warnings}"
    assert len(pictures) >= LEAST_PICTURES, f"only {len(pictures)} pictures"
    print(f"ok {notebook.name}: {len(cells)} cells, {len(pictures)} pictures in {out}")
    print("1 passed, 0 failed")
    return 0


def pictures_of(cell) -> list[bytes]:
    datas = [output.get("data", {}) for output in cell.outputs]
    return [base64.b64decode(data["image/png"]) for data in datas if "image/png" in data]


def stderr_of(cell) -> list[str]:
    return [output.text for output in cell.outputs if output.get("name") == "stderr"]


if __name__ == "__main__":
    sys.exit(main(*map(pathlib.Path, sys.argv[1:4])))
