# try.sh DIR NAME RUNTIME BUSYBOX EXEC: what is tried on each kernel; `checks.rs` says what must
# be seen of it. DIR has a configuration, and gets doctor's answer and the reports; NAME is
# the machine's for one test only; EXEC is integration/programs/exec.c.
set -eu
dir=$1 name=$2 runtime=$3 busybox=$4 exec=$5
export BUILDWARDEN_CONFIG=$dir/buildwarden.toml
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
# To leave a cgroup and a pid namespace.
able='["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]'
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# container ID STAGE…: a bundle with the hooks of these stages that runs the script on
# standard input. It shares two pipes and the host's cgroups with us. Programs go by their
# paths: a shell may have them built in.
container() {
  id=$1
  shift
  bundle=$dir/bundles/$id
  mkdir -p "$bundle/rootfs/bin" "$bundle/sync"
  cp "$busybox" "$bundle/rootfs/bin/busybox"
  cp "$exec" "$bundle/rootfs/bin/exec"
  for applet in sh true wget head tr mkdir seq kill unshare; do
    ln -s busybox "$bundle/rootfs/bin/$applet"
  done
  cat >"$bundle/rootfs/build.sh"
  mkfifo "$bundle/sync/ready" "$bundle/sync/go"
  hooks=
  for stage in "$@"; do
    hooks="$hooks${hooks:+,}\"$stage\": [{\"path\": \"$buildwarden\",
      \"args\": [\"buildwarden\", \"hook\", \"$stage\"],
      \"env\": [\"PATH=$path\", \"BUILDWARDEN_CONFIG=$BUILDWARDEN_CONFIG\"]}]"
  done
  cat >"$bundle/config.json" <<CONFIG
{ "ociVersion": "1.0.2",
  "process": { "user": { "uid": 0, "gid": 0 }, "args": ["/bin/sh", "/build.sh"],
    "env": ["PATH=$path"], "cwd": "/",
    "capabilities": { "bounding": $able, "effective": $able, "permitted": $able } },
  "root": { "path": "rootfs" },
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
    { "destination": "/sync", "type": "bind", "source": "$bundle/sync", "options": ["bind"] },
    { "destination": "/cgroup", "type": "bind", "source": "$cgroups", "options": ["bind"] } ],
  "hooks": { $hooks },
  "linux": { "cgroupsPath": "/$name.$id", "namespaces": [{ "type": "pid" },
    { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }] } }
CONFIG
}
oci() { "$runtime" --root "$dir/runtime" "$@"; }
buildwarden=$(command -v buildwarden)
# However it ends, nothing stays on this machine.
clean() {
  for id in build abandoned; do oci delete --force $id; done
  rmdir "$cgroups/$name".*
}
trap 'clean >/dev/null 2>&1 || true' EXIT

buildwarden doctor --json --no-probe >"$dir/doctor.json"

container build createRuntime poststop <<BUILD
/bin/exec no-argv /bin/true
# 128 KiB, with its NUL, is the most that the kernel lets one argument be; ten are more
# than the ring holds.
/bin/true "\$(head -c 131071 /dev/zero | tr '\\0' x)"
pad=\$(head -c 102400 /dev/zero | tr '\\0' x)
set --
while [ \$# -lt 10 ]; do set -- "\$@" "-U\$pad"; done
wget "\$@" http://198.51.100.6/x
sh -c 'exit 3'
sh -c 'kill -KILL \$\$'
echo >/sync/ready
read _ </sync/go
/bin/true inside
mkdir /cgroup/$name.build/below /cgroup/$name.away
sh -c 'echo 0 >/cgroup/$name.build/below/cgroup.procs; exec /bin/true below'
sh -c 'echo 0 >/cgroup/$name.away/cgroup.procs; exec /bin/true away'
unshare --pid --fork sh -c '/bin/true in-a-pid-namespace
  echo 0 >/cgroup/$name.away/cgroup.procs; exec /bin/true away-in-a-pid-namespace'
BUILD
oci run --bundle "$bundle" build &
container=$!
read -r _ <"$bundle/sync/ready"
/bin/true outside
mkdir "$cgroups/$name.beside"
sh -c "echo 0 >$cgroups/$name.beside/cgroup.procs; exec /bin/true beside"
sh -c "echo 0 >$cgroups/$name.build/cgroup.procs
  exec buildwarden run --job inner --report $dir/inner.json -- /bin/true in-a-scope-below"
oci exec --env CI_PROJECT_PATH=acme/web --env CI_PIPELINE_ID=3 --env CI_JOB_ID=9 build /bin/true entered
echo >"$bundle/sync/go"
wait $container

# Nobody says that this one has ended.
container abandoned createRuntime <<BUILD
wget http://198.51.100.13/x
exit 7
BUILD
code=0
oci run --bundle "$bundle" abandoned || code=$?
test $code = 7

# Without a network, as the containers are.
code=0
unshare --net buildwarden run --job kernel --report "$dir/run.json" -- \
  sh -c '/bin/true; wget http://198.51.100.7/x; exit 9' || code=$?
test $code = 9

# Before Linux 5.19 a collector without privileges cannot release what it has ended.
runs=$(sed -n 's/^run = "\(.*\)"/\1/p' "$BUILDWARDEN_CONFIG")
until_gone() {
  waited=0
  while "$@" 2>/dev/null; do
    waited=$((waited + 1))
    test $waited -lt 600
    sleep 0.1
  done
}
is_collected() { pid=$(cat "$runs/abandoned/collector.pid") && kill -0 "$pid"; }
until_gone is_collected
test ! -e "$runs/abandoned" || touch "$dir/left-to-gc"
buildwarden gc
are_left() { test -n "$(find "$runs" -mindepth 1 -type d)"; }
until_gone are_left
