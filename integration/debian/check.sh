# What systemd does with the package's units; see root_the_sweep_works_as_confined_as_its_unit_is.
dpkg -i /package.deb
test "$(systemctl is-active buildwarden-gc.timer)" = active
runs=/var/lib/buildwarden/containers

# A run that a restart has cut off, an old one, and a command whose collector dies.
buildwarden run -- true
mv $runs/run-* $runs/old
mkdir $runs/lost
touch -d '40 days ago' $runs/old/report.json
buildwarden run -- sleep 1000 &
command=$!
wait_for() { for _ in $(seq 1000); do ! "$@" || return 0; sleep 0.02; done; echo "never: $*"; return 1; }
has_collector() { cat /run/buildwarden/run-*/collector.pid; }
wait_for has_collector
first=$(has_collector)
kill -9 "$first"
# Whatever is sent is sent by what the sweep starts.
sed -i "/^\[output\]/r /outputs.toml" /etc/buildwarden/buildwarden.toml
# Its parent, the command's, collects it later.
has_ended() { ! grep -q '^State:[^Z]*$' "/proc/$first/status"; }
wait_for has_ended

systemctl start buildwarden-gc.service
test "$(systemctl show --value -p Result buildwarden-gc.service)" = success
test "$(systemctl show --value -p ActiveState buildwarden-gc.service)" = inactive
test -s $runs/lost/report.json
test ! -e $runs/old

# The new collector is confined, lives on, and finishes what it was started for.
has_another() { second=$(has_collector) && [ "$second" != "$first" ]; }
wait_for has_another
is_real_time() { chrt -p "$second" | grep SCHED_FIFO; }
wait_for is_real_time
grep '^0::/buildwarden$' "/proc/$second/cgroup"
kill "$command"
wait "$command" || true
test -s $runs/run-*/report.json
grep '"programs_attached": true' $runs/run-*/report.json

# So is what sends its end, which reaches the journal and the network.
has_sent() { cat $runs/run-*/exports.json; }
wait_for has_sent
test "$(grep -c '"failed": 0' $runs/run-*/exports.json)" = 2
is_in_journal() { journalctl -t buildwarden BUILDWARDEN_EVENT=finished | grep buildwarden; }
wait_for is_in_journal

dpkg -r buildwarden
test "$(systemctl is-active buildwarden-gc.timer)" = inactive
test ! -e /sys/fs/bpf/buildwarden
echo everything holds >/checked
