"""How many of each thing there are, as JSON."""

import http.server
import json

STOCK = {"apples": 3, "pears": 0}


class Stock(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = json.dumps(STOCK).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


http.server.ThreadingHTTPServer(("", 8080), Stock).serve_forever()
