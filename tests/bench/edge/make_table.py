#!/usr/bin/env python3
"""The table of `smackd edge` for the benches: make_table.py ingress|dns FILE KEY=VALUE..."""
import json
import os
import sys

kind, path = sys.argv[1:3]
v = dict(word.split("=", 1) for word in sys.argv[3:])
table = {"epoch": 1, "revision": 1, "settings": {}, "apps": [], "tasks": []}


def add_task(name, address, port, app=""):
    table["tasks"].append({"id": name + ".1", "app": app, "framework": "marathon", "name": name, "agent": "c-S1",
                           "host_addresses": [address], "ports": [{"host_port": port}]})


if kind == "ingress":
    local = "127.0.0.1:"
    table["settings"]["groups"] = [{"name": "external", "bind_addresses": ["127.0.0.1"],
                                    "http_listeners": [local + v["http"], local + v["vhttp"]],
                                    "https_listeners": [local + v["https"]] if v.get("crt") else []}]
    for i in range(int(v["nvhosts"])):
        table["apps"].append({"id": f"/app{i}", "ports": [{"http": True, "groups": ["external"],
                                                           "routes": [{"host": f"app{i}.marathon.mesos"}]}]})
        add_task(f"app{i}", "127.0.0.1", int(v["backend"]) + i % 10, f"/app{i}")
    if v.get("crt"):
        table["certificates"] = [{"id": "c", "chain_pem": open(v["crt"]).read(), "key_pem": open(v["key"]).read()}]
else:
    table["settings"].update(dns_listeners=["127.0.0.1:" + v["auth"]], forwarders=["127.0.0.1:" + v["upstream"]],
                             leader_addresses=["10.0.0.1"], name_server_addresses=["127.0.0.1"])
    for line in open(v["zone"]):
        words = line.split()
        if len(words) == 3 and words[0].startswith("app") and words[0].endswith(".marathon"):
            number = int(words[0][3:-9])
            add_task(f"app{number}", words[2], 31000 + number % 1000)

with open(path + ".new", "w") as file:
    json.dump(table, file)
os.rename(path + ".new", path)
