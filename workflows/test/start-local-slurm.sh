#!/usr/bin/env bash
# Starts Slurm on this machine alone, for tests: one node, no accounting, no cgroups.
# Debian or Ubuntu, as root; replaces /etc/slurm/slurm.conf. `start-local-slurm.sh stop` ends it.
set -euo pipefail

spool=/var/spool/splitbench-slurm
log=/var/log/splitbench-slurm

stop() {
    for name in slurmd slurmctld; do
        [ -s "$spool/$name.pid" ] && kill "$(cat "$spool/$name.pid")" 2>/dev/null || true
    done
}

if [ "${1:-start}" = stop ]; then
    stop
    exit 0
fi
if ! command -v slurmctld slurmd munged >/dev/null; then
    apt-get install -y slurm-wlm munge
fi
if sinfo --noheader 2>/dev/null | grep -qE ' (idle|mix|alloc)'; then
    echo "Slurm already runs here"
    exit 0
fi

mkdir -p "$spool/state" "$spool/node" "$log" /etc/slurm /run/munge
cores=$(nproc)
memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
cat > /etc/slurm/slurm.conf <<EOF
ClusterName=splitbench
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$spool/state
SlurmdSpoolDir=$spool/node
SlurmctldPidFile=$spool/slurmctld.pid
SlurmdPidFile=$spool/slurmd.pid
SlurmctldLogFile=$log/slurmctld.log
SlurmdLogFile=$log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5
# A job that is put back waits until its credentials have lapsed: two minutes unless told otherwise.
AuthInfo=cred_expire=5
ReturnToService=2
MinJobAge=600
KillWait=30
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=local Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF

[ -s /etc/munge/munge.key ] || mungekey --create
chown -R munge: /etc/munge /run/munge /var/lib/munge /var/log/munge
chmod 755 /run/munge
munge --no-input >/dev/null 2>&1 || runuser -u munge -- munged
stop
slurmctld
slurmd
for _ in $(seq 60); do
    if sinfo --noheader 2>/dev/null | grep -qE ' idle'; then
        sinfo
        exit 0
    fi
    scontrol update NodeName="$(hostname -s)" State=RESUME 2>/dev/null || true
    sleep 1
done
echo "Slurm did not come up: see $log" >&2
exit 1
