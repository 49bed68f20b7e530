#!/usr/bin/env bash
# A real Slurm on this machine, for tests: munged, slurmctld and slurmd, one node with two GPUs that are
# plain files, partitions `cpu` (the default) and `gpu`. Run as root; everything it writes is in one folder,
# everything that listens does so on 127.0.0.1.
#   slurm.sh start FOLDER [PID]    start; afterwards  export SLURM_CONF=FOLDER/slurm.conf PATH=FOLDER/bin:$PATH
#                                  With a process id, all of it stops when that process is gone.
#   slurm.sh stop FOLDER           stop
#   slurm.sh slurmd FOLDER         start slurmd alone, after it was killed
set -euo pipefail

action=$1
folder=$(realpath -m "$2")
export SLURM_CONF=$folder/slurm.conf

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

configure() {
    mkdir -p "$folder"/{bin,munge,state,spool}
    chmod 755 "$folder" "$folder/munge"
    head -c 1024 /dev/urandom >"$folder/munge/key"
    chmod 400 "$folder/munge/key"
    touch "$folder"/gpu{0,1}
    cat >"$folder/gres.conf" <<CONF
AutoDetect=off
Name=gpu File=$folder/gpu[0-1]
CONF
    # Snakemake keeps variables of Slurm from the steps of a job, SLURM_CONF with them.
    cat >"$folder/bin/srun" <<CONF
#!/bin/sh
SLURM_CONF=$folder/slurm.conf exec $(command -v srun) "\$@"
CONF
    # Options of every submission are recorded: words end in a zero byte, calls in one more line.
    cat >"$folder/bin/sbatch" <<CONF
#!/bin/sh
# One call at a time, or two at once would be written into each other.
(flock 9; printf '%s\\0' "\$@" >&9; echo >&9) 9>>$folder/sbatch
exec $(command -v sbatch) "\$@"
CONF
    touch "$folder/sbatch"
    chmod +x "$folder"/bin/*
    # More CPUs than the machine has: the tests are about where jobs go and what becomes of them. Jobs stay
    # known to squeue for an hour. A job that is requeued may start again after cred_expire seconds.
    cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$(free_port)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=10
SlurmUser=root
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdSpoolDir=$folder/spool
SlurmdPidFile=$folder/slurmd.pid
SlurmdLogFile=$folder/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/completed
MinJobAge=3600
KillWait=5
SlurmdTimeout=20
ReturnToService=2
MailProg=/bin/true
NodeName=node NodeAddr=127.0.0.1 NodeHostname=$(hostname -s) Port=$(free_port) CPUs=8 RealMemory=64000 Gres=gpu:2
PartitionName=cpu Nodes=node Default=YES MaxTime=2-0 State=UP
PartitionName=gpu Nodes=node MaxTime=1-0 State=UP
CONF
}

start_slurmd() {
    slurmd -N node
}

wait_for_node() {
    for _ in $(seq 20); do
        if [ "$(timeout 5 sinfo --noheader --format=%T --partition=cpu 2>/dev/null)" = idle ]; then return; fi
        sleep 0.5
    done
    echo "error: the node does not come up; see $folder/slurmctld.log and $folder/slurmd.log" >&2
    exit 1
}

case $action in
start)
    configure
    munged --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
        --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
    slurmctld
    start_slurmd
    wait_for_node
    if [ -n "${3:-}" ]; then
        setsid "$0" watch "$folder" "$3" </dev/null >/dev/null 2>&1 &
    fi
    ;;
watch)
    while kill -0 "$3" 2>/dev/null; do sleep 2; done
    if [ -d "$folder" ]; then
        "$0" stop "$folder"
        rm -rf "$folder"
    fi
    ;;
slurmd)
    start_slurmd
    ;;
stop)
    timeout 10 scancel --state=PENDING --user=root || true
    timeout 10 scancel --user=root || true
    for _ in $(seq 20); do
        if [ -z "$(timeout 5 squeue --noheader --states=RUNNING,COMPLETING)" ]; then break; fi
        sleep 0.5
    done
    pids=()
    for file in "$folder"/slurmd.pid "$folder"/slurmctld.pid "$folder"/munge/pid; do
        if [ -f "$file" ]; then pids+=("$(cat "$file")"); fi
    done
    kill "${pids[@]}" || true
    for _ in $(seq 20); do
        if ! kill -0 "${pids[@]}" 2>/dev/null; then break; fi
        sleep 0.5
    done
    # Without control groups Slurm loses sight of a job's process whose parent has died.
    for environment in /proc/[0-9]*/environ; do
        pid=$(basename "$(dirname "$environment")")
        if [ "$pid" != $$ ] && [ "$pid" != $PPID ] && grep -qzx "SLURM_CONF=$SLURM_CONF" "$environment" 2>/dev/null; then
            kill -KILL "$pid" || true
        fi
    done
    ;;
*)
    echo "usage: $0 start|stop|slurmd FOLDER" >&2
    exit 2
    ;;
esac
