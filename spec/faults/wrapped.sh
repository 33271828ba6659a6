#!/bin/sh
# The functions that spec/faults replaces, which the linker leads there.
set -u
names='[A-Za-z0-9_]+'
sed -nE "s/.*(\\<WRAP\(|^FAULTY\([a-z0-9_]+, |^(MOVES|MOVES_PART|RETURNS|TRIES)\()($names).*/\\3/p" \
    spec/faults/*.c | grep -vx name
