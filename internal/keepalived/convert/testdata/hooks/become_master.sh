#!/bin/bash
export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE
export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
export AWS_DEFAULT_REGION="us-east-1"
INSTANCE=$(wget -q -O - http://169.254.169.254/latest/meta-data/instance-id)
aws ec2 disassociate-address --association-id $(aws ec2 describe-addresses --allocation-ids eipalloc-0a0a0a0a0a0a0a0a0 --query 'Addresses[0].AssociationId' --output text)
sleep 1
aws ec2 associate-address --allocation-id eipalloc-0a0a0a0a0a0a0a0a0 --instance-id $INSTANCE --private-ip-address 10.0.9.9
curl -s -X POST -d '{"text":"failover"}' https://hooks.slack.example.com/services/T000/B000/XXXXXXXX
aws ec2 replace-route --route-table-id rtb-12345678 --destination-cidr-block 10.99.0.0/16 --instance-id $INSTANCE
systemctl reload haproxy
