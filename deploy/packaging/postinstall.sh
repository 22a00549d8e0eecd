#!/bin/sh
# After the files are there: 'configure [OLD]' from dpkg, 1 (first) or 2 (upgrade) from rpm.
set -e

user=hacluster-agent

case "$1" in
configure) if [ -n "$2" ]; then upgrade=yes; else upgrade=no; fi ;;
1) upgrade=no ;;
2) upgrade=yes ;;
*) exit 0 ;;
esac

getent passwd "$user" >/dev/null ||
  useradd --system --user-group --home-dir /var/lib/hacluster --no-create-home --shell /usr/sbin/nologin "$user"
# Not recursive: what is inside is the operator's.
chown root:"$user" /etc/hacluster
chmod 0750 /etc/hacluster
install -d -m 0700 -o "$user" -g "$user" /var/lib/hacluster

# Nothing starts by itself on a new node: there is no configuration yet. On an upgrade a running agent hands over and starts anew, once.
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  [ "$upgrade" = no ] || systemctl try-restart hacluster.service
fi
