#!/bin/bash
# SPDX-License-Identifier: MIT
# Events streamed into a network on each card, its state kept between the steps, against the same recording as a file on the CPU. Prints TAP.
# usage: stream_test.sh BUILD
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh

snpu=$1/tools/snpu/snpu
events=tests/data/nir/nmnist/60041.bs2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
run() { "$snpu" run "$1/camera.nir" --dt 1ms --steps 60 --nodes fc,lif,lif.v "${@:2}" >/dev/null; }

run "$1/tests/data/events" --input $events --device cpu --record "$tmp/cpu.npz"
n=0
for node in /dev/accel/accel*; do
	run "$1/tests/data/events" --stream - --input-format nmnist --device "card:$n" --require-device --record "$tmp/card$n.npz" < <(dd if=$events bs=250 status=none)
	ok "a stream on card $n ($node): every step as on the CPU" "$snpu" compare "$tmp/cpu.npz" "$tmp/card$n.npz"
	n=$((n + 1))
done
done_testing
