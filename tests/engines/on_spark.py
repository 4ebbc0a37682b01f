"""The Spark Connect server that SPARK_REMOTE names, `sc://127.0.0.1:15002` without it."""

import os

import connect


class Engine(connect.Engine):
    def __init__(self) -> None:
        # Spark's own client sends a token without TLS to a host of this name only.
        remote = os.environ.get("SPARK_REMOTE", "sc://127.0.0.1:15002")
        super().__init__(remote.replace("//127.0.0.1:", "//localhost:"))
