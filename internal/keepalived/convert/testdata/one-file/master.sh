#!/bin/bash
# Runs when this node becomes MASTER.
REGION=eu-central-1
ALLOCATION_ID=eipalloc-0f1e2d3c4b5a69788
INSTANCE_ID=i-0a1b2c3d4e5f60718
EIP=198.51.100.7

logger -t keepalived "taking $EIP"
/usr/bin/aws --region $REGION ec2 disassociate-address --public-ip "$EIP"
/usr/bin/aws --region $REGION ec2 associate-address --allocation-id $ALLOCATION_ID \
    --instance-id $INSTANCE_ID
