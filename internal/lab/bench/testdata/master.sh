#!/bin/sh
AWS="/usr/bin/aws ec2 --endpoint-url https://10.20.0.2 --region eu-central-1"
$AWS disassociate-address --public-ip 203.0.113.10
$AWS associate-address --public-ip 203.0.113.10 --instance-id i-0aa00000000000001
