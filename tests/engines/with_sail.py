"""Runs a command beside Sail, a server of Spark's protocol in one process.
Usage: with_sail.py COMMAND…  ({remote} is replaced by sc://127.0.0.1:PORT)"""

import os
import pathlib
import socket
import subprocess
import sys
import time


def main(command: list[str]) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sail = pathlib.Path(sys.executable).parent / "sail"
    environment = os.environ | {"SAIL_MODE": "local"}
    server = subprocess.Popen(
        [sail, "spark", "server", "--ip", "127.0.0.1", "--port", str(port)], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(port, server)
        return subprocess.call([part.replace("{remote}", f"sc://127.0.0.1:{port}") for part in command])
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for(port: int, server: subprocess.Popen) -> None:
    for _ in range(600):
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            raise SystemExit(f"Sail ended with {server.returncode}")
        time.sleep(0.1)
    raise SystemExit("Sail does not listen")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
