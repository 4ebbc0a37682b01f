"""The Spark Connect server that SPARK_REMOTE names, `sc://127.0.0.1:15002` without it."""

import os

import connect


class Engine(connect.Engine):
    def __init__(self) -> None:
        super().__init__(os.environ.get("SPARK_REMOTE", "sc://127.0.0.1:15002"))
