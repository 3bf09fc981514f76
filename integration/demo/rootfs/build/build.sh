#!/bin/sh
# A small build: compiles, installs a dependency, packs the result, checks it.
cd /build || exit 1
mkdir -p out

echo 'compiling src'
for source in src/*; do
  tr a-z A-Z <"$source" | gzip >"out/$(basename "$source").o"
done

echo 'installing fast-colours@2.1.0'
./vendor/fast-colours/install.sh

echo 'linking app'
cat out/*.o >out/app
tar -cf out/app.tar -C out app

echo 'verifying app.tar'
sha256sum out/app.tar >out/app.tar.sha256
sha256sum -c out/app.tar.sha256
