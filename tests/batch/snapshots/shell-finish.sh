#!/bin/bash
# Written by `oso submit`, which overwrites it: change the site file instead.

export GDAL_DATA='/opt/it'"'"'s here'
export TMPDIR="$TMPDIR"
module load python
# The configuration was complete when the job was submitted.
unset "${!OSO_@}"

trap 'told=1; kill -USR1 "$!"' USR1
trap 'told=1; kill -TERM "$!"' TERM INT
'/opt/py env/bin/python' -m oso_pipeline.cli run '/data/été d'"'"'essai/run 1/batch/config.yaml' --wait-lock 600 &
# A signal interrupts wait: wait again for the code of the run.
while told=; wait "$!"; code=$?; [ -n "$told" ]; do :; done
trap '' USR1

[ "$code" -ne 138 ] || code=75
exit "$code"
