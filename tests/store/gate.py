"""A gate between the program and an S3 server: passes every request on as it is, keeps a list of them,
and lets a test look at each before it passes: hold it, count it, or end the program there."""

import http.client
import http.server
import sys
import threading
import urllib.parse


class Gate:
    """Listens on a port of its own for `upstream` (http://host:port)."""

    def __init__(self, upstream: str):
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self.passed: list[tuple[str, str, int]] = []
        self.watch = lambda method, key: None
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                gate.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                # A program that was killed lets go of its connections.
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    super().handle_error(request, client_address)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def handle(self, request: http.server.BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length) if length else b""
        key = urllib.parse.unquote(urllib.parse.urlsplit(request.path).path).partition("/")[2].partition("/")[2]
        self.watch(request.command, key)
        # The host name is signed: it passes as the program sent it.
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body if length else None)
        answer = connection.getresponse()
        content = answer.read()
        self.passed.append((request.command, key, answer.status))
        try:
            request.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    request.send_header(name, value)
            head = request.command == "HEAD"
            request.send_header("Content-Length", answer.getheader("Content-Length") if head else str(len(content)))
            request.end_headers()
            request.wfile.write(content)
        except OSError:
            # The program was ended while it waited.
            request.close_connection = True
        connection.close()

    def puts(self) -> list[str]:
        """Keys that were put, in order."""
        return [key for method, key, status in self.passed if method == "PUT" and status == 200]
