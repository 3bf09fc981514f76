# build.sh: what builds do and an engine could do otherwise: files of every kind, programs, both
# streams, environment and limits, signals, a process in the background, and no success in the end.
umask 027
mkdir -p /work/src/lib /work/out && cd /work || exit 1

echo 'int main(void) { return 0; }' >src/main.c
seq 1 5000 | tr 0-9 a-j >out/data
cp out/data 'out/odd
name '
for file in 1 2 3; do
  echo "compiling $file"
  cp src/main.c "src/lib/$file.o"
done
ln -s ../src/main.c out/link
ln -s /nowhere out/dangling
ln out/data out/hard
mkfifo out/fifo
chmod 4751 src/main.c
chmod 1777 out
chown 7:8 src/lib || echo "chown: $?"

echo 'warning: to be seen on the other stream' >&2
wget -T 1 -q -O out/fetched http://198.51.100.40/x || echo "wget: $?"
nosuchprogram || echo "missing: $?"
out/data || echo "not executable: $?"
cat nothing || echo "cat: $?"

env | grep -v ^HOSTNAME= | sort >out/env
cat out/env /proc/self/limits /proc/self/oom_score_adj
grep -E '^(Uid|Gid|Groups|Sig[BIC]|Shd|Cap|NoNew|Seccomp:)' /proc/self/status
grep -v ' / ' /proc/self/mounts | sort
id
pwd
ls /proc/self/fd
cut -d ' ' -f 19 /proc/self/stat

trap 'echo caught' USR1
kill -USR1 $$
sh -c 'kill -KILL $$'
echo "killed: $?"
{ seq 1 1000000; echo "nobody reads: $?" >&2; } | head -n 1
sh -c 'trap "exit 5" TERM; : >ready; while :; do sleep 0.01; done' &
until [ -e ready ]; do sleep 0.01; done
kill -TERM $!
wait $!
echo "asked to end: $?"
rm ready

sleep 600 </dev/null >/dev/null 2>&1 &
cat out/data
exit 42
