#!/bin/sh
# The functions that spec/faults replaces, which the linker leads there.
set -u
names='[A-Za-z0-9_]+'
macros='MOVES|MOVES_PART|RETURNS|TRIES'
sed -nE "s/.*(\\<WRAP\(|^FAULTY\([a-z0-9_]+, |^($macros)\()($names).*/\\3/p" \
    spec/faults/*.c | grep -vx name
