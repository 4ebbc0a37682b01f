"""Runs a command beside a Ceph RADOS Gateway of its own: one monitor, one OSD in memory, one gateway, all on
loopback, from Debian packages unpacked into a folder. Nothing of it is installed and nothing is left.
Usage: with_ceph.py FOLDER COMMAND…  ({endpoint} is replaced)

The gateway checks signatures and conditions as in production; its one user has the keys of nights.py."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

from nights import KEY_ID, SECRET

PACKAGES = ["radosgw", "ceph-mon", "ceph-osd"]
STARTING_SECONDS = 120


def main(folder: pathlib.Path, command: list[str]) -> int:
    prefix = unpacked(folder)
    home = pathlib.Path(tempfile.mkdtemp(prefix="ceph-"))
    ceph = Ceph(prefix, home)
    try:
        endpoint = ceph.start()
        return subprocess.call([part.replace("{endpoint}", endpoint) for part in command])
    finally:
        ceph.stop()
        shutil.rmtree(home, ignore_errors=True)


def unpacked(folder: pathlib.Path) -> pathlib.Path:
    """The packages and all they need, downloaded once and unpacked."""
    prefix, ready = folder / "prefix", folder / ".ready"
    if ready.exists():
        return prefix
    debs = folder / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    plan = ["apt-get", "install", "--simulate", "--no-install-recommends", *PACKAGES]
    names = [line.split()[1] for line in output(plan).splitlines() if line.startswith("Inst ")]
    subprocess.run(["apt-get", "download", "--quiet=2", *names], cwd=debs, check=True)
    for deb in debs.glob("*.deb"):
        subprocess.run(["dpkg", "--extract", str(deb), str(prefix)], check=True)
    ready.touch()
    return prefix


class Ceph:
    """The processes and how to speak to them."""

    def __init__(self, prefix: pathlib.Path, home: pathlib.Path):
        self.home, self.running = home, []
        libraries = prefix / "usr/lib/x86_64-linux-gnu"
        self.ports = free_ports(3)
        self.env = os.environ | {
            "LD_LIBRARY_PATH": f"{libraries}:{libraries}/ceph:{prefix}/lib/x86_64-linux-gnu",
            "PATH": f"{prefix}/usr/bin:{os.environ['PATH']}",
            "PYTHONPATH": f"{prefix}/usr/lib/python3/dist-packages",
            "CEPH_CONF": str(home / "ceph.conf"),
        }
        for secret in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            self.env.pop(secret, None)
        v2, v1, _ = self.ports
        self.address = f"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]"
        self.fsid = str(uuid.uuid4())
        (home / "ceph.conf").write_text(
            f"""[global]
fsid = {self.fsid}
mon_host = {self.address}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 4
mon_max_pg_per_osd = 1000
mon_data = {home}/mon
osd_data = {home}/osd
rgw_data = {home}/rgw
run_dir = {home}
admin_socket = {home}/$name.asok
log_file = {home}/$name.log
crash_dir = {home}
plugin_dir = {libraries}/ceph
erasure_code_dir = {libraries}/ceph/erasure-code
osd_class_dir = {libraries}/rados-classes
osd_class_load_list = *
osd_class_default_list = *
"""
        )

    def start(self) -> str:
        for folder in ("mon", "osd", "rgw"):
            (self.home / folder).mkdir()
        ring, everything = str(self.home / "keyring"), ["--cap", "mon", "allow *"]
        osds, managers = ["--cap", "osd", "allow *"], ["--cap", "mgr", "allow *"]
        self.call("ceph-authtool", "--create-keyring", ring, "--gen-key", "-n", "mon.", *everything)
        for name in ("client.admin", "client.rgw", "osd.0"):
            caps = everything + osds + managers
            self.call("ceph-authtool", ring, "--gen-key", "-n", name, *caps)
        (self.home / "rgw/keyring").write_text((self.home / "keyring").read_text())
        (self.home / "osd/keyring").write_text((self.home / "keyring").read_text())
        self.call("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", self.address, f"{self.home}/monmap")
        self.call("ceph-mon", "--mkfs", "-i", "a", "--monmap", f"{self.home}/monmap", "--keyring", ring)
        self.keep("ceph-mon", "-f", "-i", "a")
        self.wait_for(lambda: self.try_call("ceph", "--connect-timeout", "5", "mon", "stat"), "the monitor")
        self.call("ceph", "auth", "import", "-i", ring)
        osd = str(uuid.uuid4())
        self.call("ceph", "osd", "new", osd, "0")
        self.call("ceph", "auth", "import", "-i", ring)
        self.call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.keep("ceph-osd", "-f", "-i", "0")
        endpoint = f"http://127.0.0.1:{self.ports[2]}"
        frontend = f"--rgw_frontends=beast endpoint=127.0.0.1:{self.ports[2]}"
        self.keep("radosgw", "-f", "-n", "client.rgw", "--keyring", ring, frontend)
        self.wait_for(lambda: answers(endpoint), "the gateway")
        user = ["--uid=recon", "--display-name=recon", f"--access-key={KEY_ID}", f"--secret-key={SECRET}"]
        self.call("radosgw-admin", "user", "create", *user)
        return endpoint

    def stop(self) -> None:
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def command(self, *words: str) -> list[str]:
        ring = ["--keyring", f"{self.home}/keyring"] if words[0] in {"ceph", "radosgw-admin"} else []
        return [words[0], *ring, *words[1:]]

    def call(self, *words: str) -> None:
        done = subprocess.run(self.command(*words), env=self.env, capture_output=True, text=True, timeout=120)
        if done.returncode:
            sys.exit(f"{' '.join(words[:3])}…: exit {done.returncode}\n{done.stdout}{done.stderr}")

    def try_call(self, *words: str) -> bool:
        return subprocess.run(self.command(*words), env=self.env, capture_output=True, timeout=60).returncode == 0

    def keep(self, *words: str) -> None:
        log = open(self.home / f"{words[0]}.out", "ab")
        self.running.append(subprocess.Popen(words, env=self.env, stdout=log, stderr=log))

    def wait_for(self, is_there, what: str) -> None:
        for _ in range(STARTING_SECONDS):
            if any(process.poll() is not None for process in self.running):
                break
            if is_there():
                return
            time.sleep(1)
        logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in self.home.glob("*.out"))
        sys.exit(f"{what} does not come up\n{logs}")


def answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(endpoint, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for it in sockets:
        it.bind(("127.0.0.1", 0))
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]))
