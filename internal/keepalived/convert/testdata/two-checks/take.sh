aws ec2 associate-address --allocation-id eipalloc-0f1e2d3c4b5a69788 --instance-id $(cat /var/lib/cloud/data/instance-id) --region eu-central-1
