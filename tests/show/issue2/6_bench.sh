#!/bin/bash
# Must show 6: the figures of one run, beside etcd and the raw disk.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s bench || { echo "FAIL bench: a part was not measured"; exit 1; }
echo "PASS bench: figures above"
