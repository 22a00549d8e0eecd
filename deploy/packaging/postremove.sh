#!/bin/sh
# After the files are gone: 'remove', 'purge' or 'upgrade NEW' from dpkg, 0 or 1 from rpm, which knows no purge.
set -e

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
# The user stays, locked: files elsewhere may be its own, and its number must not pass to another.
if [ "$1" = purge ]; then
  rm -rf /etc/hacluster /etc/systemd/system/hacluster.service.d /var/lib/hacluster
fi
