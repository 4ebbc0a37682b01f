"""Verifies requests of coupon-recon with Python's `cryptography`: an implementation that is neither
ours nor Rust looks at the bytes that were really on the wire.

    verify_requests.py SENDER MERCHANT_FOLDER [COUNT]

SENDER is the compiled `examples/signed_requests`. It sends COUNT random requests (Chinese, blanks,
`|`, `%` in path, query and body) to a listener in this process, which keeps method, target, headers
and body exactly as they came and refuses. Then every signature must hold, must fail with one bit
flipped, and every text must be found in what was sent after decoding it once.
"""

import base64
import json
import random
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

FIELD = re.compile(r'(\w+)="([^"]*)"')
SCHEME = "WECHATPAY2-SHA256-RSA2048 "


class Recorder(BaseHTTPRequestHandler):
    """Keeps requests, answers 404 without a body: final, not retried, not verified."""

    protocol_version = "HTTP/1.1"
    seen = []

    def keep(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        # The request line as it came: `self.path` would fold a leading `//`.
        method, target, _ = self.requestline.split(" ")
        self.seen.append((method, target, dict(self.headers.items()), body))
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_PATCH = do_DELETE = keep

    def log_message(self, *_):
        pass


def message_of(request):
    """The five lines WeChat documents, from the wire; and the signature over them."""
    method, target, headers, body = request
    headers = {name.lower(): value for name, value in headers.items()}
    authorization = headers["authorization"]
    assert authorization.startswith(SCHEME), authorization
    fields = dict(FIELD.findall(authorization[len(SCHEME):]))
    assert set(fields) == {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}, fields
    assert re.fullmatch("[0-9A-Za-z]{32}", fields["nonce_str"]), fields["nonce_str"]
    assert abs(int(fields["timestamp"]) - time.time()) < 60
    assert headers.get("accept") == "application/json" and headers.get("user-agent"), headers
    head = f"{method}\n{target}\n{fields['timestamp']}\n{fields['nonce_str']}\n"
    return head.encode() + body + b"\n", base64.b64decode(fields["signature"], validate=True), fields


def holds(key, message, signature):
    try:
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        return True
    except InvalidSignature:
        return False


def flip(message, dice):
    flipped = bytearray(message)
    flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
    return bytes(flipped)


def record(sender, merchant, count):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    command = [sender, str(merchant / "job.toml"), url, str(count), "20261118"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    server.shutdown()
    return [json.loads(line) for line in output.splitlines()], Recorder.seen


def main():
    sender, merchant = sys.argv[1], Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 600
    account = json.loads((merchant / "world/world.json").read_text())["account"]
    key = serialization.load_pem_public_key(account["merchant_public_key_pem"].encode())
    texts, requests = record(sender, merchant, count)
    assert len(texts) == len(requests) == count, (len(texts), len(requests))
    dice, nonces = random.Random(1), set()
    for expected, request in zip(texts, requests):
        method, target, _, body = request
        message, signature, fields = message_of(request)
        assert holds(key, message, signature), f"signature of {method} {target}"
        assert not holds(key, flip(message, dice), signature), f"flipped bit of {method} {target}"
        assert fields["mchid"] == account["mchid"] and fields["serial_no"] == account["merchant_serial_no"]
        assert target.isascii() and " " not in target and "|" not in target, target
        sent = [unquote(part, errors="strict") for part in re.split("[/?&=]", target)]
        sent += list(json.loads(body).values()) if body else []
        for text in expected:
            assert text in sent, f"{text!r} is not in {target} {body!r}"
        nonces.add(fields["nonce_str"])
    assert len(nonces) == count, "a nonce came twice"
    methods = sorted({request[0] for request in requests})
    print(f"{count} requests ({', '.join(methods)}) verified by cryptography; each fails with one bit flipped")


if __name__ == "__main__":
    main()
