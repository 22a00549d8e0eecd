#!/bin/sh
I=$(curl -s -H "X-aws-ec2-metadata-token: $(curl -s -X PUT http://169.254.169.254/latest/api/token -H "X-aws-ec2-metadata-token-ttl-seconds: 60")" http://169.254.169.254/latest/meta-data/instance-id); AWS_REGION=ap-southeast-1 aws ec2 associate-address --allocation-id=eipalloc-12345678 --instance-id "$I"; exit $?
