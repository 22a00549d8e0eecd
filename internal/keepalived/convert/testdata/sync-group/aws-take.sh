#!/bin/sh
case "$1" in
public)  id=eipalloc-0000000000000aaaa ;;
partner) id=eipalloc-0000000000000bbbb ;;
esac
aws ec2 associate-address --allocation-id "$id" --instance-id "$(ec2-metadata -i | cut -d' ' -f2)"
