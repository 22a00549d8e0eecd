#!/bin/sh
aws ec2 associate-address --region eu-central-1 --allocation-id eipalloc-0f1e2d3c4b5a69788 --instance-id i-0123456789abcdef0
