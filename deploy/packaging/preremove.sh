#!/bin/sh
# Before the files go: 'remove' or 'upgrade NEW' from dpkg, 0 (last) or 1 (upgrade) from rpm. An upgrade leaves the agent running.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
  systemctl --no-reload disable --now hacluster.service
elif command -v systemctl >/dev/null; then
  systemctl --no-reload disable hacluster.service
fi
