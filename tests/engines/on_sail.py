"""Sail, which speaks the protocol of Spark Connect, in this process and on loopback."""

import atexit
import os

os.environ.setdefault("RUST_LOG", "error")
from pysail.spark import SparkConnectServer  # noqa: E402

import connect  # noqa: E402

SERVER = SparkConnectServer("127.0.0.1", 0)
SERVER.start(background=True)
atexit.register(SERVER.stop)


class Engine(connect.Engine):
    name = "Sail"

    def __init__(self) -> None:
        super().__init__("sc://127.0.0.1:%d" % SERVER.listening_address[1])
