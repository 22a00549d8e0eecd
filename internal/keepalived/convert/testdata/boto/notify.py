#!/usr/bin/env python3
import sys
import urllib.request

import boto3

ALLOCATION = "eipalloc-0c0ffee0c0ffee000"


def main(kind, name, state):
    if state != "MASTER":
        return
    me = urllib.request.urlopen("http://169.254.169.254/latest/meta-data/instance-id").read().decode()
    ec2 = boto3.client("ec2", region_name="ca-central-1")
    ec2.associate_address(AllocationId=ALLOCATION, InstanceId=me, AllowReassociation=True)


main(*sys.argv[1:4])
