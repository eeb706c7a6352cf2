#!/bin/bash
# The .deb in a Debian root booted by systemd-nspawn: install, first node and application as docs/install.md says, upgrade with tasks
# running (same pids), remove (data stays), install again (it goes on), purge (data gone). SUITE=bookworm; DEBIAN_ROOT=FOLDER takes a root
# that is there (of debootstrap, with systemd) instead of making one.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s build/smackd >/dev/null || { echo "FAIL deb: build"; exit 1; }
exec python3 tests/show/issue6/1_deb.py
