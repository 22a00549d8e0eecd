#!/bin/sh
echo "$(hostname) is $1" | mail -s keepalived ops@example.com
