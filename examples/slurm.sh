#!/bin/bash
# Two nodes with four GPUs each. The signal comes early enough for a step and a save; then the job starts itself again.
#SBATCH --nodes=2 --ntasks-per-node=1 --gpus-per-node=4
#SBATCH --signal=USR1@120 --requeue --open-mode=append
HEAD=$(scontrol show hostnames $SLURM_JOB_NODELIST | head -n 1)
srun torchrun --nnodes=$SLURM_NNODES --nproc-per-node=4 --rdzv-id=$SLURM_JOB_ID --rdzv-backend=c10d \
    --rdzv-endpoint=$HEAD:29500 -m viceversa train cyclegan data.root=datasets/horse2zebra run=runs/h2z
grep -q finished runs/h2z/events.jsonl || scontrol requeue $SLURM_JOB_ID
