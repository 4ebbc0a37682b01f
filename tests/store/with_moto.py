"""Runs a command beside moto's S3 server. Usage: with_moto.py COMMAND…  ({endpoint} is replaced)

moto checks no signatures: what is asked with a wrong key is tested with Ceph (with_ceph.py)."""

import subprocess
import sys

from moto.server import ThreadedMotoServer


def main(command: list[str]) -> int:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        return subprocess.call([part.replace("{endpoint}", f"http://{host}:{port}") for part in command])
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
