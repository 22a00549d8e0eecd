#!/bin/bash
# restart once before giving up
if ! pidof haproxy >/dev/null; then
    systemctl start haproxy
    sleep 2
    pidof haproxy >/dev/null || exit 1
fi
