#!/bin/bash
#PBS -N essai.predict
#PBS -S /bin/bash
#PBS -j oe
#PBS -o logs/
#PBS -q compute
#PBS -A land
#PBS -l select=1:ncpus=4:mem=9500mb
#PBS -l walltime=02:00:00
#PBS -r y
#PBS -J 1-20
#PBS -W max_run_subjobs=5
#PBS -m n
# Written by `oso submit`, which overwrites it: change the site file instead.

export GDAL_DATA='/opt/it'"'"'s here'
export TMPDIR="$TMPDIR"
module load python
# The configuration was complete when the job was submitted.
unset "${!OSO_@}"

trap 'told=1; kill -USR1 "$!"' USR1
trap 'told=1; kill -TERM "$!"' TERM INT
timeout --foreground --preserve-status --signal=USR1 $((SECONDS < 6900 ? 6900 - SECONDS : 1)) \
  '/opt/py env/bin/python' -m oso_pipeline.cli run '/data/été d'"'"'essai/run 1/batch/config.yaml' --stage predict --wait-lock 600 --shard "$PBS_ARRAY_INDEX/20" &
# A signal interrupts wait: wait again for the code of the run.
while told=; wait "$!"; code=$?; [ -n "$told" ]; do :; done
trap '' USR1

[ "$code" -ne 138 ] || code=75
exit "$code"
