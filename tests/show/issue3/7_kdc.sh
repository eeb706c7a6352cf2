#!/bin/bash
# Must show 7, first line: the KDC child or the node it runs on is lost, logins and joins go on.
exec python3 "$(dirname "$0")/7_kdc.py"
