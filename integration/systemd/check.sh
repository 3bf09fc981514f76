# Builds in podman and crun under systemd's cgroup driver; see root_systemd_s_cgroups_are_traced.
set -eu
buildwarden install --engine podman
podman import /image.tar img:1
podman="podman --cgroup-manager systemd"
$podman info --format '{{.Host.CgroupManager}} {{.Host.CgroupsVersion}} {{.Host.OCIRuntime.Name}}' >/out/engine

code=0
$podman run --name build --cidfile /out/build --network none img:1 \
  sh -c 'wget http://198.51.100.21/x; exit 5' || code=$?
test $code = 5

# systemd ends this one, behind podman's back.
$podman run --detach --cidfile /out/stopped --network none img:1 sh -c 'true; exec sleep 1000'
id=$(cat /out/stopped)
systemctl show --property ControlGroup,Description "libpod-$id.scope" >/out/scope
systemctl stop "libpod-$id.scope"

waited=0
until test -z "$(find /run/buildwarden -mindepth 1 -type d)"; do
  waited=$((waited + 1))
  test $waited -lt 600
  sleep 0.1
done
buildwarden verify "$(cat /out/build)"
buildwarden verify "$id"
cp -r /var/lib/buildwarden /out/state
