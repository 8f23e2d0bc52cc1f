#!/bin/bash
# One build as a job of a Ray cluster whose machines share a folder or a bucket. From anywhere that reaches the cluster's dashboard:
#
#   RAY_API_SERVER_ADDRESS=http://HEAD:8265 deploy/ray.sh CORPUS OUT [--set key=value]...
#
# CORPUS and OUT are paths on the cluster, or URLs (s3://bucket/set; then all its machines need credentials). The driver runs on the head and takes the inventory with all its CPUs; the slices
# are tasks of one CPU each on all machines (--set ray.cpus=4, --set ray.gpus=1, ... change that). Everything has to be
# installed there: pip install "mmprolong[build,ray]". Submit the same job again after a failure or a stop: it goes on.
# `mmprolong status OUT` tells how far it is; `ray job stop ID` ends it as Ctrl-C would.
set -euo pipefail
corpus=$1 out=$2
shift 2
exec ${RAY:-ray} job submit ${RAY_SUBMIT_ARGS:-} -- \
    ${MMPROLONG:-mmprolong} build "$corpus" --out "$out" --engine ray --address auto "$@"
