#!/bin/bash
#PBS -N essai.driver
#PBS -S /bin/bash
#PBS -j oe
#PBS -o logs/
#PBS -q compute
#PBS -A land
#PBS -l select=1:ncpus=1:mem=4000mb
#PBS -l walltime=02:00:00
#PBS -r y
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
  '/opt/py env/bin/python' -m oso_pipeline.cli run '/data/été d'"'"'essai/run 1/batch/config.yaml' --wait-lock 600 &
# A signal interrupts wait: wait again for the code of the run.
while told=; wait "$!"; code=$?; [ -n "$told" ]; do :; done
trap '' USR1

[ "$code" -ne 138 ] || code=75
if [ "$code" -eq 75 ]
then
  '/opt/py env/bin/python' -m oso_pipeline.cli submit '/data/été d'"'"'essai/run 1/batch/config.yaml' --site '/data/été d'"'"'essai/run 1/batch/site.yaml' --attempt 1
fi
exit "$code"
