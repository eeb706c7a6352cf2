"""Says what can be bought, which it asks another service each time. Without that one it does not start."""

import http.server
import json
import os
import urllib.request


def stock():
    with urllib.request.urlopen(os.environ["STOCK_URL"], timeout=3) as answer:
        return json.load(answer)


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, text = 200, "".join(f"{name}: {'yes' if count else 'sold out'}\n" for name, count in stock().items())
        except OSError as problem:
            status, text = 503, f"no stock: {problem}\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


print("at the start:", stock(), flush=True)
http.server.ThreadingHTTPServer(("", 8080), Shop).serve_forever()
