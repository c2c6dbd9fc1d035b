#!/bin/bash
#SBATCH --job-name=essai.driver
#SBATCH --output=logs/driver-%j.log
#SBATCH --open-mode=append
#SBATCH --partition=compute
#SBATCH --account=land
#SBATCH --qos=normal
#SBATCH --time=02:00:00
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=4000M
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
#SBATCH --mail-type=NONE
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
if [ "$code" -eq 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 10 ]
then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
