"""A standalone Spark of this machine, on loopback: a master, two workers of two cores, a Connect server that takes one
core of each and leaves the other to spark-submit.

Usage: cluster.py up FOLDER              starts it, prints its address, leaves it running
       cluster.py down FOLDER            ends what `up` started
       cluster.py run FOLDER COMMAND…    starts it with a token of its own, which the environment of the command has too,
                                         runs the command ({remote} and {cluster} are replaced), ends it

FOLDER keeps logs, the workers' own folders, and the numbers of the processes. Wants a Java runtime (17)."""

import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

HOST, PORT = "127.0.0.1", 15002
MEMORY = "1g"
# What Spark's clients take for the token, and its server too.
TOKEN = "SPARK_CONNECT_AUTHENTICATE_TOKEN"
CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"


class Cluster:
    """The processes, and where they write."""

    def __init__(self, folder: pathlib.Path, executor_memory_mb: int = 900, shuffle_partitions: int = 2):
        self.folder = folder.resolve()
        self.executor_memory_mb, self.shuffle_partitions = executor_memory_mb, shuffle_partitions
        self.pids = self.folder / "pids.json"
        self.submission = self.folder / "submit.json"
        self.started: dict[str, int] = {}
        self.processes: dict[str, subprocess.Popen] = {}

    def up(self) -> str:
        if self.pids.exists():
            raise SystemExit(f"a cluster is up already: {self.pids}; `make spark-down` ends it")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        master, web, port = free_port(), free_port(), PORT if is_free(PORT) else free_port()
        url = f"spark://{HOST}:{master}"
        try:
            self.start("master", "spark-class", "org.apache.spark.deploy.master.Master",
                       "--host", HOST, "--port", master, "--webui-port", web)
            self.wait_for("the master", lambda: status(web) is not None)
            for name in ("worker-1", "worker-2"):
                # Room for an executor of the Connect server and one of spark-submit.
                memory = f"{2 * self.executor_memory_mb + 248}m"
                self.start(name, "spark-class", "org.apache.spark.deploy.worker.Worker", "--host", HOST, "--cores", 2,
                           "--memory", memory, "--webui-port", free_port(), "--work-dir", self.folder / name, url)
            self.wait_for("two workers", lambda: (status(web) or {}).get("aliveworkers") == 2)
            common = {
                "spark.driver.host": HOST,
                "spark.cores.max": 2,
                "spark.sql.shuffle.partitions": self.shuffle_partitions,
                "spark.ui.enabled": "false",
            }
            memory = ["--driver-memory", MEMORY, "--executor-memory", f"{self.executor_memory_mb}m"]
            submit = ["spark-submit", "--master", url, *memory, *options(common)]
            self.submission.write_text(json.dumps({"home": str(home()), "python": sys.executable, "command": submit}))
            server = {
                "spark.connect.grpc.binding.address": HOST,
                "spark.connect.grpc.binding.port": port,
                # The client takes a stream that the server ends for a whole answer (docs/engines.md).
                "spark.connect.execute.reattachable.senderMaxStreamDuration": 0,
            }
            self.start("connect", *submit, "--class", CONNECT, *options(server), "spark-internal")
            self.wait_for("the Connect server", lambda: not is_free(port))
        except BaseException:
            self.down()
            raise
        return f"sc://{HOST}:{port}"

    def start(self, name: str, program: str, *arguments) -> None:
        environment = surroundings(str(home()), sys.executable) | {
            # The Connect server counts as a daemon too: this is what its driver gets.
            "SPARK_DAEMON_MEMORY": MEMORY if name == "connect" else "256m",
        }
        log = (self.folder / f"{name}.log").open("w")
        command = [home() / "bin" / program, *map(str, arguments)]
        # A session of its own: the process can be ended with all it started, and outlives `up`.
        process = subprocess.Popen(command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, start_new_session=True)
        self.started[name] = process.pid
        self.processes[name] = process
        self.pids.write_text(json.dumps(self.started))

    def wait_for(self, what: str, is_there) -> None:
        for _ in range(600):
            if is_there():
                return
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if ended:
                raise SystemExit(f"{ended[0]} ended: {self.folder / ended[0]}.log says why")
            time.sleep(0.5)
        raise SystemExit(f"{what} did not come up in five minutes")

    def down(self) -> None:
        self.started = json.loads(self.pids.read_text()) if self.pids.exists() else {}
        for name in ("connect", "worker-1", "worker-2", "master"):
            if name in self.started:
                end(self.started[name])
        self.pids.unlink(missing_ok=True)

    def submit(self, script: pathlib.Path) -> tuple[int, str]:
        """Runs a script on the cluster; its exit code and what it said."""
        how = json.loads(self.submission.read_text())
        program, *arguments = how["command"]
        done = subprocess.run([pathlib.Path(how["home"]) / "bin" / program, *map(str, arguments), script], text=True,
                              env=surroundings(how["home"], how["python"]), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=1800)
        return done.returncode, done.stdout

    def executors(self) -> list[int]:
        """The processes that compute, a child of a worker each."""
        workers = {session_of(pid) for name, pid in json.loads(self.pids.read_text()).items() if name.startswith("worker")}
        found = [int(it.name) for it in pathlib.Path("/proc").iterdir() if it.name.isdigit()]
        return [pid for pid in found if session_of(pid) in workers and b"CoarseGrainedExecutorBackend" in words(pid)]


def home() -> pathlib.Path:
    import pyspark  # only who starts a cluster needs it

    return pathlib.Path(pyspark.__file__).parent


def surroundings(spark_home: str, python: str) -> dict[str, str]:
    return os.environ | {"SPARK_HOME": spark_home, "SPARK_LOCAL_IP": HOST, "PYSPARK_PYTHON": python,
                         "PYSPARK_DRIVER_PYTHON": python}


def options(settings: dict) -> list[str]:
    return [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]


def words(pid: int) -> bytes:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def end(pid: int) -> None:
    """Ends a session of ours: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(100):
            try:
                os.killpg(pid, number)
            except OSError:
                return
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
            time.sleep(0.1)


def status(port: int) -> dict | None:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/json/", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def is_free(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex((HOST, port)) != 0


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return free.getsockname()[1]


def main(what: str, folder: str, *command: str) -> int:
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise SystemExit("Spark wants a Java runtime: `apt-get install openjdk-17-jre-headless`, or set JAVA_HOME")
    cluster = Cluster(pathlib.Path(folder))
    if what == "down":
        cluster.down()
        return 0
    if what == "run":
        os.environ[TOKEN] = secrets.token_hex(16)
    remote = cluster.up()
    print(remote, flush=True)
    if what == "up":
        return 0
    try:
        return subprocess.call([it.replace("{remote}", remote).replace("{cluster}", folder) for it in command])
    finally:
        cluster.down()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
