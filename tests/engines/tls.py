"""A night whose cluster is behind TLS, and every way in which that goes wrong. The cluster speaks none itself: a gate
before it does, with certificates of an authority of this test.
Usage: tls.py PROGRAM MERCHANT BASE_URL REMOTE   (of a real Spark the environment has the token)"""

import asyncio
import contextlib
import datetime
import os
import ssl
import sys
import threading
import time

import trustme

from cluster import TOKEN as TOKEN_VARIABLE
from nights import DATES, TOKEN, Desk, no_token_was_shown

HTTP_2 = b"PRI * HTTP/2.0\r\n"
FIRST = DATES[0]


class Gate:
    """Takes TLS off and hands on what is inside."""

    def __init__(self, behind: str, certificate: trustme.LeafCert, protocols: list[str]):
        host, _, port = behind.removeprefix("sc://").partition(":")
        self.behind = host, int(port)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.tls)
        if protocols:
            self.tls.set_alpn_protocols(protocols)
        self.greetings: list[bytes] = []
        self.port = 0

    def __enter__(self) -> "Gate":
        self.loop, is_open = asyncio.new_event_loop(), threading.Event()

        async def listen() -> None:
            server = await asyncio.start_server(self.visit, "127.0.0.1", 0, ssl=self.tls)
            self.port = server.sockets[0].getsockname()[1]
            is_open.set()

        self.loop.set_exception_handler(lambda *_: None)  # who is not let in says so itself
        self.loop.create_task(listen())
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        assert is_open.wait(30)
        return self

    def __exit__(self, *_) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)

    async def visit(self, visitor: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, forward = await asyncio.open_connection(*self.behind)
        greeting = await visitor.read(1 << 16)
        self.greetings.append(greeting)
        forward.write(greeting)
        await asyncio.gather(pass_on(visitor, forward), pass_on(server, answer), return_exceptions=True)


async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.closing(target):
        while chunk := await source.read(1 << 16):
            target.write(chunk)
            await target.drain()


class Hall:
    """The authority, and the gates it gives certificates to."""

    def __init__(self, desk: Desk, remote: str):
        self.desk, self.remote, self.authority = desk, remote, trustme.CA()
        self.trusted = desk.merchant / "authority.pem"
        self.authority.cert_pem.write_to_path(str(self.trusted))
        (desk.merchant / "secrets/spark.token").write_text(os.environ.get(TOKEN_VARIABLE) or TOKEN, encoding="utf-8")
        (desk.merchant / "secrets/spark.token").chmod(0o600)

    def gate(self, *names: str, protocols: list[str] | None = None, **validity) -> Gate:
        certificate = self.authority.issue_cert(*(names or ("localhost",)), **validity)
        return Gate(self.remote, certificate, ["h2"] if protocols is None else protocols)

    def night(self, name: str, address: str, is_trusted: bool = True, token: str = "secrets/spark.token"):
        engine = f'kind = "spark"\nremote = "{address}"\ntoken_file = "{token}"'
        trust = {"SSL_CERT_FILE": str(self.trusted)} if is_trusted else {}
        command = [self.desk.job(name, engine), "--base-url", self.desk.base_url]
        began = time.monotonic()
        ended = self.desk.call("run", *command, "--date", FIRST, **trust, **{TOKEN_VARIABLE: ""})
        return *ended, time.monotonic() - began

    def refused(self, address: str, *told: str, **how) -> float:
        """Refuses the night with 69 and these words; nothing of it is published."""
        code, _, err, seconds = self.night("refused", address, **how)
        assert code == 69 and all(it in err for it in told), (code, err[-3000:])
        assert not any((self.desk.merchant.parent / "out/refused").rglob("*.parquet"))
        return seconds


def secured(gate: Gate, host: str = "localhost") -> str:
    return f"sc://{host}:{gate.port}/;use_ssl=true"


def the_client_speaks_tls_and_publishes_the_same_bytes(hall: Hall) -> None:
    desk = hall.desk
    code, _, err = desk.call("run", desk.job("here", 'kind = "polars"'), "--date", FIRST, "--base-url", desk.base_url)
    assert code == 0, err[-3000:]
    with hall.gate() as gate:
        code, _, err, seconds = hall.night("tls", secured(gate))
        assert code == 0 and "the night is matched and judged on sc://localhost:" in err, (code, err[-3000:])
        print(f"   a night over TLS: {seconds:.1f} s", flush=True)
        inside = [it for it in gate.greetings if it]
        assert inside and all(it.startswith(HTTP_2) for it in inside), gate.greetings
    assert desk.published("tls") == desk.published("here"), "other bytes"


def an_authority_nobody_knows_is_told_at_once(hall: Hall) -> None:
    with hall.gate() as gate:
        seconds = hall.refused(secured(gate), "is not trusted", "UnknownIssuer", "SSL_CERT_FILE", is_trusted=False)
        assert seconds < 60, f"{seconds} s"
        engine = f'kind = "spark"\nremote = "{secured(gate)}"\ntoken_file = "secrets/spark.token"'
        job = hall.desk.job("refused", engine)
        code, out, _ = hall.desk.call("check", job, "--base-url", hall.desk.base_url, **{TOKEN_VARIABLE: ""})
        assert code == 69 and "is not trusted" in out and "SSL_CERT_FILE" in out, (code, out)
        assert not any(gate.greetings), "nothing was said to a server that is not trusted"


def a_certificate_of_another_host_or_of_another_year_is_told(hall: Hall) -> None:
    with hall.gate("spark.example") as gate:
        hall.refused(secured(gate), "is not trusted", "not valid for")
        assert not any(gate.greetings)
    years_ago = datetime.datetime(2020, 1, 1)
    with hall.gate(not_before=years_ago, not_after=years_ago + datetime.timedelta(days=90)) as gate:
        hall.refused(secured(gate), "is not trusted", "expired")


def tls_without_http_2_is_told(hall: Hall) -> None:
    with hall.gate(protocols=[]) as gate:
        hall.refused(secured(gate), "no Spark Connect server answered", "HTTP/2")


def clear_text_where_tls_is_spoken_is_given_up(hall: Hall) -> None:
    with hall.gate() as gate:
        seconds = hall.refused(f"sc://localhost:{gate.port}", "the address must say `use_ssl=true`")
        assert seconds < 300, f"{seconds} s"


def a_wrong_token_is_denied_over_tls_too(hall: Hall) -> None:
    wrong = hall.desk.merchant / "secrets/wrong.token"
    wrong.write_text(TOKEN, encoding="utf-8")
    wrong.chmod(0o600)
    with hall.gate() as gate:
        code, _, err, _ = hall.night("denied", secured(gate), token="secrets/wrong.token")
        assert code == 77 and "refuses access" in err, (code, err[-3000:])


def main(program: str, merchant: str, base_url: str, remote: str) -> int:
    desk = Desk(program, merchant, base_url, remote)
    hall = Hall(desk, remote)
    tests = [
        the_client_speaks_tls_and_publishes_the_same_bytes,
        an_authority_nobody_knows_is_told_at_once,
        a_certificate_of_another_host_or_of_another_year_is_told,
        tls_without_http_2_is_told,
        clear_text_where_tls_is_spoken_is_given_up,
    ]
    right = os.environ.get(TOKEN_VARIABLE)
    tests += [a_wrong_token_is_denied_over_tls_too] if right else []
    for test in tests:
        test(hall)
        print(f"ok {test.__name__}", flush=True)
    no_token_was_shown(desk)
    assert not right or not any(right in text for text in desk.said)
    print(f"{len(tests) + 1} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
