#!/bin/bash
# Must show 2: how long until `ready`.
exec python3 "$(dirname "$0")/2_ready.py"
