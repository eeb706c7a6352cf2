#!/bin/bash
# Must show 1: six machines from empty directories, by the documented commands.
exec python3 "$(dirname "$0")/1_join.py"
