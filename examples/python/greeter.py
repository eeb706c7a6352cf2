"""Greets whoever asks, and counts. Standard library only."""

import http.server
import os

count = 0


class Greeter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global count
        count += self.path == "/"
        text = f"{os.environ['GREETING']} number {count} from {os.environ['MESOS_TASK_ID']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


http.server.ThreadingHTTPServer(("", int(os.environ["PORT0"])), Greeter).serve_forever()
